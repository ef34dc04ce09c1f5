//! Threads by the pool that they belong to: a pool that is made anew again and again and never shut down is the usual way
//! to leak threads in Java.

use std::collections::HashMap;

use crate::model::census::{CensusRow, Counted};

/// Threads of the JVM itself, by how their names begin (JDK 11 to 25). The kernel keeps 15 characters of a name.
const OWN: &[&str] = &[
    "Attach Listener",
    "C1 CompilerThre",
    "C2 CompilerThre",
    "Cleaner-",
    "Common-Cleaner",
    "DestroyJavaVM",
    "Finalizer",
    "G1 ",
    "GC Thread#",
    "GC task thread#",
    "JVMCI",
    "Monitor Deflati",
    "Notification Th",
    "ParGC Thread#",
    "Reference Handl",
    "Service Thread",
    "Shenandoah",
    "Signal Dispatch",
    "StringDedup",
    "Sweeper thread",
    "VM Periodic Tas",
    "VM Thread",
    "XDirector",
    "XWorker#",
    "ZDirector",
    "ZDriver",
    "ZWorker",
    "process reaper",
];
/// Length to which the kernel cuts a name (`TASK_COMM_LEN`, without the NUL byte).
const CUT: usize = 15;

/// How many threads each pool has; most first.
pub(super) fn pools(threads: &[(u32, String)]) -> Vec<CensusRow> {
    let mut pools: HashMap<String, u64> = HashMap::new();
    for (_, name) in threads {
        if !OWN.iter().any(|own| name.starts_with(own)) {
            *pools.entry(pool(name)).or_default() += 1;
        }
    }
    // One thread alone is no pool.
    let mut pools: Vec<_> = pools.into_iter().filter(|(_, count)| *count > 1).collect();
    pools.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rows = pools
        .into_iter()
        .map(|(name, count)| CensusRow::of(Counted::ThreadPool, name, count, None));
    rows.collect()
}

/// `pool-17-thread-1` is `pool-N-thread`: numbers differ, and so does what the kernel leaves of the last one.
fn pool(name: &str) -> String {
    let is_cut = name.len() >= CUT;
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-_#. ".contains(c));
    let stem = if stem.is_empty() { name } else { stem };
    let mut pool = String::new();
    for c in stem.chars() {
        match (c.is_ascii_digit(), pool.ends_with('N')) {
            (true, true) => {}
            (true, false) => pool.push('N'),
            (false, _) => pool.push(c),
        }
    }
    if is_cut && stem.len() == name.len() {
        pool.push('…');
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_pool_have_one_name() {
        for (name, is) in [
            ("pool-1-thread-1", "pool-N-thread"),
            ("pool-17-thread-", "pool-N-thread"),
            ("pool-1234-threa", "pool-N-threa…"),
            ("worker-3", "worker"),
            ("Thread-12", "Thread"),
            ("12", "N"),
        ] {
            assert_eq!(pool(name), is, "{name}");
        }
    }

    #[test]
    fn threads_of_the_jvm_are_no_pool() {
        let names = ["GC Thread#0", "GC Thread#1", "worker-1", "worker-2", "main"];
        let threads: Vec<_> = names.iter().map(|name| (1, (*name).to_owned())).collect();
        let pools = pools(&threads);
        assert_eq!(pools.len(), 1);
        assert_eq!((pools[0].name.as_str(), pools[0].count), ("worker", 2));
    }
}
