//! What the books of a process say more or less than before.

use serde::Serialize;

use crate::model::census::{Census, Counted};

/// Things of one name, at two moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose books.
    pub runtime: String,
    /// What they are.
    pub counted: Counted,
    /// What they are called.
    pub name: String,
    /// How many there are now.
    pub count: u64,
    /// Bytes of them; `None` when that is not known.
    pub bytes: Option<u64>,
    /// How many more; negative for less, `None` when it was not on the list before, which holds so many and no more.
    pub more: Option<i128>,
    /// The same in bytes.
    pub more_bytes: Option<i128>,
}

/// What is there now, those first that became most: by bytes, then by number. A list has at most `most` rows: what is not on
/// a full one may have been there all the same.
pub(super) fn between(first: &Census, last: &Census, most: usize) -> Vec<Difference> {
    let mut differences = Vec::new();
    for view in &last.views {
        let before = first.views.iter().find(|before| before.runtime == view.runtime);
        for row in &view.rows {
            let same = before.and_then(|before| {
                let mut rows = before.rows.iter();
                rows.find(|of| of.counted == row.counted && of.name == row.name)
            });
            let was_complete =
                before.is_some_and(|before| before.rows.len() < most && before.unknown.is_none());
            let (count, bytes) = match same {
                Some(same) => (Some(same.count), same.bytes),
                None if was_complete => (Some(0), Some(0)),
                None => (None, None),
            };
            let more = |now: u64, then: u64| i128::from(now) - i128::from(then);
            differences.push(Difference {
                runtime: view.runtime.clone(),
                counted: row.counted,
                name: row.name.clone(),
                count: row.count,
                bytes: row.bytes,
                more: count.map(|then| more(row.count, then)),
                more_bytes: row.bytes.zip(bytes).map(|(now, then)| more(now, then)),
            });
        }
    }
    differences.sort_by(|a, b| {
        let grew = |of: &Difference| {
            (
                of.more_bytes.unwrap_or(0),
                of.more.unwrap_or(0),
                of.bytes,
                of.count,
            )
        };
        grew(b)
            .cmp(&grew(a))
            .then_with(|| (&a.runtime, &a.name).cmp(&(&b.runtime, &b.name)))
    });
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::census::MAX_ROWS, present::sample};

    #[test]
    fn what_became_more_comes_first() {
        let first = sample::census(1);
        let mut last = first.clone();
        last.views[0].rows[1].count += 500;
        last.views[0].rows[1].bytes = Some(2_000_000);
        last.views[0].rows[0].count -= 8;
        last.views[0].rows[0].bytes = Some(8_000_000);
        let differences = between(&first, &last, MAX_ROWS);
        let said: Vec<_> = differences.iter().map(|of| (of.name.as_str(), of.more)).collect();
        assert_eq!(
            said,
            [
                ("com.shop.Cache$Entry", Some(500)),
                ("pool-1-thread", Some(0)),
                ("byte[]", Some(-8))
            ]
        );
        assert_eq!(differences[0].more_bytes, Some(809_600));
    }

    #[test]
    fn what_was_not_on_a_full_list_is_no_difference() {
        let mut first = sample::census(1);
        let last = first.clone();
        let filler = first.views[0].rows[2].clone();
        first.views[0].rows.remove(1);
        first.views[0].rows.resize(MAX_ROWS - 1, filler.clone());
        let entry = |first: &Census| {
            let all = between(first, &last, MAX_ROWS);
            all.into_iter()
                .find(|of| of.name.ends_with("Entry"))
                .unwrap()
                .more
        };
        assert_eq!(entry(&first), Some(12_400));
        first.views[0].rows.push(filler);
        assert_eq!(entry(&first), None);
    }
}
