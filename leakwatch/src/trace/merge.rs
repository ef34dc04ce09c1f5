//! Places that read the same: one loop that the compiler unrolled calls from several addresses.

use std::collections::HashMap;

use crate::model::{snapshot::FrameRow, trace::AllocationSite};

/// A frame as it is read: its function, or where it is when it has no name.
type Named = (String, Option<u32>, Option<u64>);

/// Makes one site of those whose stacks have the same functions and lines. The first of each stays in its place among the others, unless
/// it then has more old bytes than those before it.
pub fn same_functions(sites: Vec<AllocationSite>) -> Vec<AllocationSite> {
    let mut merged: Vec<AllocationSite> = Vec::with_capacity(sites.len());
    let mut known: HashMap<Vec<Named>, usize> = HashMap::new();
    for site in sites {
        let names = site.frames.iter().map(named).collect();
        if let Some(first) = known.get(&names).and_then(|&index| merged.get_mut(index)) {
            first.add(&site);
        } else {
            known.insert(names, merged.len());
            merged.push(site);
        }
    }
    merged.sort_by_key(|site| std::cmp::Reverse((site.old_bytes, site.born)));
    merged
}

fn named(frame: &FrameRow) -> Named {
    match &frame.function {
        Some(function) => (function.clone(), frame.line, None),
        None => (frame.module.clone(), None, Some(frame.address)),
    }
}

impl AllocationSite {
    fn add(&mut self, other: &Self) {
        let age = |site: &Self| site.mean_age_ns.map(|age| age as f64 * site.live as f64);
        let ages = [age(self), age(other)].into_iter().flatten().sum::<f64>();
        let live = self.live + other.live;
        self.mean_age_ns = (live > 0).then(|| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of times"
            )]
            let mean = (ages / live as f64) as u64;
            mean
        });
        self.live = live;
        self.samples += other.samples;
        self.old_samples += other.old_samples;
        self.born += other.born;
        self.born_bytes += other.born_bytes;
        self.live_bytes += other.live_bytes;
        self.old += other.old;
        self.old_bytes += other.old_bytes;
        self.share_percent += other.share_percent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(function: Option<&str>, address: u64, old_bytes: u64, age: u64) -> AllocationSite {
        AllocationSite {
            function: function.map(str::to_owned),
            frames: vec![FrameRow {
                function: function.map(str::to_owned),
                file: None,
                line: None,
                module: "/bin/a".to_owned(),
                build_id: None,
                address,
                inlined: false,
                reason: None,
            }],
            cut: None,
            samples: 10,
            old_samples: 1,
            born: 100,
            born_bytes: 1_000,
            live: 10,
            live_bytes: 100,
            old: 5,
            old_bytes,
            share_percent: 10.0,
            mean_age_ns: Some(age),
        }
    }

    #[test]
    fn the_same_functions_are_one_place() {
        let sites = vec![
            site(Some("other"), 1, 50, 5),
            site(Some("leak"), 2, 40, 10),
            site(Some("leak"), 3, 30, 20),
            site(None, 4, 5, 5),
            site(None, 5, 5, 5),
        ];
        let merged = same_functions(sites);
        let seen: Vec<_> = merged
            .iter()
            .map(|site| (site.function.as_deref(), site.old_bytes))
            .collect();
        assert_eq!(
            seen,
            [(Some("leak"), 70), (Some("other"), 50), (None, 5), (None, 5)]
        );
        assert_eq!(
            (merged[0].mean_age_ns, merged[0].samples, merged[0].old),
            (Some(15), 20, 10)
        );
        assert!((merged[0].share_percent - 20.0).abs() < 1e-9);
    }
}
