//! Series that somebody else recorded, judged as if they had been read here.
//!
//! A CSV file with a header. Columns in any order, others are ignored, an empty cell means as before:
//!
//! | column | what |
//! |---|---|
//! | `time` | when: unix seconds, or RFC 3339 |
//! | `pid` | whose |
//! | `process` | its name; optional |
//! | `start_time` | when it started, as `time`; optional, else a process that is not there for long has ended |
//! | `rss_bytes`, `fds`, `threads`, `maps` | what it holds; at least one of them |
//! | `fd_limit` | how many descriptors it may hold; optional |

mod table;

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    iter::Peekable,
    sync::Arc,
    vec::IntoIter,
};

use bytemuck::Zeroable as _;
use leakwatch_common::{
    COMM_LEN,
    levels::{TaskRow, ThreadRow},
};

pub use self::table::ImportError;
use self::table::{Levels, Row};
use crate::{
    aggregate::Unwind,
    assemble::Names,
    attribute::{Facts, ProcessFacts},
    decode::CopiedStack,
    limits::{LimitSubject, Limits},
    model::{
        census::{Census, CensusWish, Censuses},
        confirm::{Confirm, Confirmation, Wish},
        finding::{Limit, Resource},
        health::{AgentHealth, CallSitesHealth},
        identity::ProcessId,
        interest::Interest,
        snapshot::{FrameRow, LimitUse, Snapshot},
        stack::StackId,
    },
    raw::{Moment, RawBatch, Reading, Source},
    run::{OwnUse, Pipeline, Probes, ProbesHealth, Setup, Stacks, World},
};

/// A process that is not there for so many ticks has ended.
const ABSENT: u64 = 5;
/// Ticks are not shorter than this, nanoseconds.
const SHORTEST: u64 = 100_000_000;

/// Snapshots of a series, one for each of its intervals in which there is a row.
pub struct Import {
    rows: Peekable<IntoIter<Row>>,
    interval_ns: u64,
    began_ns: u64,
    pipeline: Pipeline,
    alive: BTreeMap<u32, Alive>,
    said: Said,
}

struct Alive {
    start_ns: u64,
    /// The tick that said something of it last.
    tick: u64,
    process: Option<Arc<str>>,
    levels: Levels,
}

/// Reads a series.
///
/// # Errors
/// When it is none.
pub fn import_csv(input: impl Read) -> Result<Import, ImportError> {
    let rows = table::read(input)?;
    let interval_ns = interval(&rows);
    Ok(Import {
        began_ns: rows.first().map_or(0, |row| row.time_ns),
        rows: rows.into_iter().peekable(),
        interval_ns,
        pipeline: Pipeline::new(Setup::default()),
        alive: BTreeMap::new(),
        said: Said::default(),
    })
}

impl Import {
    /// Time between two readings of one process, as a rule, nanoseconds.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    fn take(&mut self, tick: u64, row: Row) {
        let before = self.alive.remove(&row.pid).filter(|before| {
            let restarted = row.start_ns.is_some_and(|start_ns| start_ns != before.start_ns);
            !restarted && tick - before.tick <= ABSENT
        });
        let alive = match before {
            Some(before) => Alive {
                tick,
                process: row.process.or(before.process),
                levels: row.levels.or(before.levels),
                ..before
            },
            None => Alive {
                start_ns: row.start_ns.unwrap_or(row.time_ns),
                tick,
                process: row.process,
                levels: row.levels,
            },
        };
        self.alive.insert(row.pid, alive);
    }
}

impl Iterator for Import {
    type Item = Snapshot;

    fn next(&mut self) -> Option<Snapshot> {
        let (began_ns, interval_ns) = (self.began_ns, self.interval_ns);
        let tick_of = |row: &Row| (row.time_ns - began_ns) / interval_ns;
        let tick = tick_of(self.rows.peek()?);
        let mut now_ns = began_ns;
        while let Some(row) = self.rows.next_if(|row| tick_of(row) == tick) {
            now_ns = row.time_ns;
            self.take(tick, row);
        }
        self.alive.retain(|_, alive| tick - alive.tick <= ABSENT);
        let tasks = self
            .alive
            .iter()
            .flat_map(|(&pid, alive)| bytemuck::bytes_of(&task(pid, alive)).to_vec());
        let reading = Reading {
            moment: Moment {
                monotonic_ns: now_ns,
                boottime_ns: now_ns,
                unix_ms: now_ns / 1_000_000,
            },
            batches: vec![RawBatch {
                source: Source::Tasks,
                bytes: tasks.collect(),
            }],
        };
        let names = self
            .alive
            .iter()
            .map(|(&pid, alive)| (pid, alive.process.clone()));
        self.said.names = names.collect();
        let mut limits = SaidLimits(&self.alive);
        let mut world = World {
            probes: &mut Nothing,
            stacks: &mut Nothing,
            facts: &mut self.said,
            limits: &mut limits,
            confirm: &mut Nothing,
            censuses: &mut Nothing,
            own_use: &mut Nothing,
        };
        Some(self.pipeline.tick(&reading, &Interest::default(), &mut world))
    }
}

/// The median time between two rows of one process.
fn interval(rows: &[Row]) -> u64 {
    let mut before: HashMap<u32, u64> = HashMap::new();
    let mut gaps: Vec<u64> = rows
        .iter()
        .filter_map(|row| Some(row.time_ns - before.insert(row.pid, row.time_ns)?))
        .filter(|&gap| gap > 0)
        .collect();
    let middle = gaps.len() / 2;
    let median = (!gaps.is_empty()).then(|| *gaps.select_nth_unstable(middle).1);
    median.unwrap_or(SHORTEST).max(SHORTEST)
}

fn task(pid: u32, alive: &Alive) -> TaskRow {
    let levels = alive.levels;
    let count = |count: Option<u64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
    let mut comm = [0; COMM_LEN];
    let name = alive.process.as_deref().unwrap_or_default();
    // It ends between two characters, and with a NUL.
    let name = &name[..name.floor_char_boundary(COMM_LEN - 1)];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    TaskRow {
        start_boottime_ns: alive.start_ns,
        nofile_soft: levels.fd_limit.unwrap_or(u64::MAX),
        rss_anon_bytes: levels.rss_bytes.unwrap_or(0),
        tgid: pid,
        threads: count(levels.threads),
        fds: count(levels.fds),
        map_count: count(levels.maps),
        comm,
        ..TaskRow::zeroed()
    }
}

/// What a series says of a process beyond its levels: a name, longer than the kernel's.
#[derive(Debug, Default)]
struct Said {
    names: HashMap<u32, Option<Arc<str>>>,
}

impl Facts for Said {
    fn process(&mut self, pid: u32) -> ProcessFacts {
        ProcessFacts {
            cmdline: self.names.get(&pid).cloned().flatten(),
            ..ProcessFacts::default()
        }
    }

    fn user(&mut self, _: u32) -> Arc<str> {
        "".into()
    }

    fn item(&mut self, _: u32, _: &str, _: u64) -> Option<String> {
        None
    }

    fn not_resident(&mut self, _: u32, _: &[u64]) -> Vec<u64> {
        Vec::new()
    }
}

/// The limits that a series says.
struct SaidLimits<'a>(&'a BTreeMap<u32, Alive>);

impl Limits for SaidLimits<'_> {
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse> {
        let alive = self.0.get(&process.id.pid);
        let value = alive.and_then(|alive| alive.levels.fd_limit);
        let limit = |value| LimitUse {
            resource: Resource::Fd,
            limit: Limit {
                name: "RLIMIT_NOFILE".into(),
                value,
                in_use: process.fds,
            },
        };
        value.map(limit).into_iter().collect()
    }

    fn of_host(&mut self) -> Vec<LimitUse> {
        Vec::new()
    }
}

/// What no series says.
struct Nothing;

impl Censuses for Nothing {
    fn census(&mut self, _: u64, _: &CensusWish) -> Option<Census> {
        None
    }
}

impl Confirm for Nothing {
    fn confirm(&mut self, _: u64, _: &Wish) -> Option<Confirmation> {
        None
    }
}

impl Probes for Nothing {
    fn threads(&mut self, _: u32) -> Option<RawBatch> {
        None
    }

    fn health(&mut self) -> ProbesHealth {
        ProbesHealth::default()
    }
}

impl Unwind for Nothing {
    fn copied(&mut self, _: &CopiedStack) -> StackId {
        StackId::NONE
    }

    fn waiting(&mut self, _: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId::NONE
    }
}

impl Names for Nothing {
    fn frames(&mut self, _: StackId) -> (Vec<FrameRow>, Option<String>) {
        (Vec::new(), None)
    }
}

impl Stacks for Nothing {
    fn health(&mut self) -> CallSitesHealth {
        CallSitesHealth::default()
    }
}

impl OwnUse for Nothing {
    fn own_use(&mut self) -> AgentHealth {
        AgentHealth::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::import_csv;
    use crate::model::snapshot::{Snapshot, State};

    fn snapshots(text: &str) -> Vec<Snapshot> {
        import_csv(text.as_bytes()).expect("a series").collect()
    }

    #[test]
    fn a_series_is_judged_as_if_it_had_been_read_here() {
        let mut text = "time,pid,process,fds,fd_limit\n".to_owned();
        for reading in 0..60 {
            // Each process is read at a moment of its own.
            let time = 1_700_000_000 + 10 * reading;
            let _ = writeln!(
                text,
                "{time},7,a name that is longer than the kernel's,{},1024",
                100 + 50 * reading
            );
            let _ = writeln!(text, "{},8,steady,{},", time + 3, 50 + reading % 2);
        }
        let snapshots = snapshots(&text);
        assert_eq!(snapshots.len(), 60);
        let [leaks, steady] = &snapshots[59].processes[..] else {
            panic!("two processes");
        };
        assert_eq!((leaks.id.pid, leaks.fds, leaks.fd_limit), (7, 3050, Some(1024)));
        assert_eq!(leaks.name, "a name that is ");
        assert_eq!(
            leaks.cmdline.as_deref(),
            Some("a name that is longer than the kernel's")
        );
        assert_eq!((leaks.state, steady.state), (State::Growing, State::Healthy));
        let rate = leaks.growth.fds_per_second.expect("readings");
        assert!((rate - 5.0).abs() < 0.01, "{rate}");
    }

    #[test]
    fn who_is_not_there_for_long_has_ended() {
        let snapshots = snapshots(
            "time,pid,fds,threads\n10,1,5,1\n10,2,5,1\n20,1,,2\n30,1,6,\n40,1,6,\n50,1,6,\n60,1,6,\n70,1,6,\n80,1,6,\n80,2,9,1\n",
        );
        let of = |at: usize| -> Vec<_> {
            let processes = snapshots[at].processes.iter();
            processes
                .map(|process| {
                    (
                        process.id.pid,
                        process.id.start_time_ns / 1_000_000_000,
                        process.fds,
                        process.threads,
                    )
                })
                .collect()
        };
        assert_eq!(of(0), [(1, 10, 5, 1), (2, 10, 5, 1)]);
        assert_eq!(of(1), [(1, 10, 5, 2), (2, 10, 5, 1)]);
        assert_eq!(of(6), [(1, 10, 6, 2)]);
        assert_eq!(of(7), [(1, 10, 6, 2), (2, 80, 9, 1)]);
    }

    #[test]
    fn another_start_is_another_process() {
        let snapshots = snapshots("time,pid,start_time,fds\n10,1,3,5\n20,1,3,6\n30,1,25,1\n");
        let starts = snapshots
            .iter()
            .map(|snapshot| snapshot.processes[0].id.start_time_ns / 1_000_000_000);
        assert_eq!(starts.collect::<Vec<_>>(), [3, 3, 25]);
    }
}
