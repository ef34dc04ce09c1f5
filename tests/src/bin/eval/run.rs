//! Every case of every family, on every processor.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crate::{
    baselines,
    draw::Draw,
    families::{Family, Group},
    replay::{self, Outcome},
    score::Judged,
};

/// Who judges the cases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judges {
    Everybody,
    /// Leakwatch, with closer looks.
    Leakwatch,
}

/// Plays `number` cases of each family; the result does not depend on who plays which.
pub(crate) fn all(families: &[Family], seed: u64, number: u64, judges: Judges) -> Vec<Judged> {
    let jobs: Vec<(usize, u64)> = (0..families.len())
        .flat_map(|family| (0..number).map(move |number| (family, number)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let began = Instant::now();
    let work = || {
        while let Some(&(family, number)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let judged = judge(family, &families[family], (seed, number), judges);
            let Ok(mut done) = done.lock() else { return };
            done.push(((family, number), judged));
            if done.len() % 100 == 0 {
                eprintln!("{} of {} cases, {:.0?}", done.len(), jobs.len(), began.elapsed());
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|&(job, _)| job);
    done.into_iter().map(|(_, judged)| judged).collect()
}

fn judge(index: usize, family: &Family, (seed, number): (u64, u64), judges: Judges) -> Judged {
    let case = family.case(seed, number);
    let level = case.level();
    // What a look sees is drawn apart from the case, and alike for a leak and its twin.
    let looks = || Draw::new(seed ^ 0x5eed, index as u64, number);
    let leakwatch = replay::play(&case, looks(), true);
    let baselines = baselines::ALL.iter().map(|baseline| {
        let can_judge = family.group == Group::Stream || !baseline.needs_items();
        let is_asked = judges == Judges::Everybody && can_judge;
        is_asked.then(|| baseline.first_alarm(&case, &level))
    });
    Judged {
        family: index,
        number,
        truth: family.truth,
        group: family.group,
        thing: case.thing,
        pace: case.pace(),
        onset: case.leak.map_or(0.0, |leak| leak.onset),
        seconds: case.seconds(),
        baselines: baselines.collect(),
        lost: leakwatch
            .leaking
            .map(|at| (case.leaked(at), case.leaked_share(at))),
        without_probes: match judges {
            Judges::Everybody => replay::play(&case, looks(), false),
            Judges::Leakwatch => Outcome::default(),
        },
        leakwatch,
    }
}
