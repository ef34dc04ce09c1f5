//! What a look sees, and what two looks together say.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use crate::model::confirm::{Confirmation, Wish};

/// One item at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// What it is. Another thing under the same number means that the first one is gone.
    pub(super) identity: (u64, u64),
    /// Whether several descriptors with this identity are open on one and the same file.
    pub(super) is_file: bool,
    /// Changes whenever the item is used; `None` where nothing about it does.
    pub(super) mark: Option<String>,
    /// May change because it is used, or because something else is.
    pub(super) doubt: String,
    /// It may be used without a trace: an unchanged mark says nothing.
    pub(super) is_traceless: bool,
    /// A thread waits for it now, as its owner.
    pub(super) is_in_use: bool,
    /// The peer of this socket has closed.
    pub(super) peer_closed: bool,
    /// This TCP socket has no connection, or has none any more, and cannot get one: nothing moves through it.
    pub(super) is_over: bool,
    /// The peer has closed or the connection is over, and nothing moved since: one look is enough to see that.
    pub(super) is_abandoned: bool,
    /// Where this thread waits.
    pub(super) place: Option<String>,
}

/// The items that were there, by number.
pub(super) type Sights = BTreeMap<u64, Sight>;

enum Change {
    Stale,
    Touched,
    Unknown,
}

/// Of so many items that have all been abandoned, but for a tenth, one look is enough.
const AT_ONCE: usize = 16;

/// What one look says where a second one would add nothing.
pub(super) fn at_once(wish: &Wish, sights: &Sights) -> Option<Confirmation> {
    let abandoned = sights.values().filter(|sight| sight.is_abandoned).count();
    let is_clear = sights.len() >= AT_ONCE && abandoned * 10 >= sights.len() * 9;
    is_clear.then(|| Confirmation {
        looked_at: count(sights.len()),
        stale: count(abandoned),
        close_wait: count(abandoned),
        ..nothing(wish)
    })
}

/// What two looks at the same items say; what was gone at the second one counts nowhere.
pub(super) fn compare(wish: &Wish, before: &Sights, after: &Sights) -> Confirmation {
    let mut found = nothing(wish);
    let both: Vec<(&Sight, &Sight)> = after
        .iter()
        .filter_map(|(item, after)| {
            let before = before.get(item)?;
            (before.identity == after.identity).then_some((before, after))
        })
        .collect();
    found.looked_at = count(both.len());
    let mut idle = Vec::new();
    for &(before, after) in &both {
        match change(before, after) {
            Change::Stale => {
                found.stale += 1;
                idle.push(after);
            }
            Change::Touched => found.touched += 1,
            Change::Unknown => {}
        }
    }
    let is_left = |after: &Sight| after.peer_closed || after.is_over;
    found.close_wait = count(both.iter().filter(|(_, after)| is_left(after)).count());
    let files = both.iter().filter(|(_, after)| after.is_file);
    found.same_file = largest_group(files.map(|(_, after)| after.identity));
    let same_place = both.iter().filter(|(before, after)| before.place == after.place);
    let waits = same_place.filter(|(before, after)| before.mark == after.mark);
    found.waiting_alike = largest_group(waits.filter_map(|(_, after)| after.place.as_deref()));
    found
}

/// The answer when nothing could be seen.
pub(super) fn nothing(wish: &Wish) -> Confirmation {
    Confirmation {
        process: wish.process,
        resource: wish.resource,
        kind: wish.kind,
        looked_at: 0,
        stale: 0,
        touched: 0,
        close_wait: 0,
        same_file: 0,
        waiting_alike: 0,
    }
}

fn change(before: &Sight, after: &Sight) -> Change {
    if before.is_in_use || after.is_in_use {
        return Change::Touched;
    }
    if after.is_over {
        // A connection in CLOSE_WAIT ends without us when its peer takes the same port again for another one, or has
        // rebooted: it answers with a reset (RFC 9293, 3.5.1). One that was whole may have been ended by either side.
        let was_left = before.is_over || before.peer_closed;
        return if was_left { Change::Stale } else { Change::Unknown };
    }
    match (&before.mark, &after.mark) {
        (Some(before), Some(after)) if before != after => Change::Touched,
        (Some(_), Some(_)) => {
            let is_sure = !before.is_traceless && !after.is_traceless && before.doubt == after.doubt;
            if is_sure { Change::Stale } else { Change::Unknown }
        }
        _ => Change::Unknown,
    }
}

fn largest_group<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> u32 {
    let mut groups: HashMap<K, u32> = HashMap::new();
    for key in keys {
        *groups.entry(key).or_default() += 1;
    }
    groups.into_values().max().unwrap_or(0)
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use leakwatch_common::kind::Kind;

    use super::*;
    use crate::model::{finding::Resource, identity::ProcessId};

    fn wish() -> Wish {
        Wish {
            process: ProcessId {
                pid: 1,
                start_time_ns: 2,
            },
            resource: Resource::Fd,
            kind: Kind::File,
            items: Vec::new(),
        }
    }

    fn sight(inode: u64, mark: &str) -> Sight {
        Sight {
            identity: (1, inode),
            is_file: true,
            mark: Some(mark.to_owned()),
            ..Sight::default()
        }
    }

    #[test]
    fn stale_touched_gone_and_unknown() {
        let before: Sights = [
            (1, sight(7, "0")),
            (2, sight(7, "0")),
            (3, sight(8, "0")),
            (4, sight(9, "0")),
            (5, sight(10, "0")),
            (6, sight(11, "0")),
        ]
        .into();
        let after: Sights = [
            (1, sight(7, "0")),
            (2, sight(7, "512")),
            (3, sight(99, "0")),
            (
                5,
                Sight {
                    is_traceless: true,
                    ..sight(10, "0")
                },
            ),
            (
                6,
                Sight {
                    doubt: "written".to_owned(),
                    ..sight(11, "0")
                },
            ),
        ]
        .into();
        let expected = Confirmation {
            looked_at: 4,
            stale: 1,
            touched: 1,
            same_file: 2,
            ..nothing(&wish())
        };
        assert_eq!(compare(&wish(), &before, &after), expected);
    }

    #[test]
    fn threads_that_wait_in_one_place() {
        let thread = |place: Option<&str>, mark: &str| Sight {
            mark: Some(mark.to_owned()),
            place: place.map(str::to_owned),
            ..Sight::default()
        };
        let before: Sights = [
            (1, thread(Some("futex"), "5")),
            (2, thread(Some("futex"), "6")),
            (3, thread(Some("futex"), "7")),
            (4, thread(Some("poll"), "8")),
            (5, thread(None, "9")),
        ]
        .into();
        let mut after = before.clone();
        after.insert(3, thread(Some("futex"), "70"));
        let found = compare(&wish(), &before, &after);
        assert_eq!((found.stale, found.touched, found.waiting_alike), (4, 1, 2));
    }
}
