//! What detection costs: memory for each process, measured by counting what is allocated, and time for each tick.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::HashMap,
    time::Duration,
};

use bytemuck::Zeroable as _;
use bytes::Bytes;
use leakwatch::{
    aggregate::{Host, Unwind},
    decode::{CopiedStack, Reading, Record},
    detect::{Detection, Levels, Observed, SubjectKey},
    model::{identity::ProcessId, stack::StackId},
    raw::Moment,
};
use leakwatch_common::{
    kind::Kind,
    levels::{TaskRow, ThreadRow},
    record::{FdClosed, Header, RecordKind},
    stack::StackTaken,
};
use rustix::time::{ClockId, clock_gettime};

/// Counts the bytes that the running thread has allocated and not freed.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: usize, sign: isize) {
    let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
    // A thread that ends frees what its thread-local values held when they are gone already.
    let _ = HELD.try_with(|held| held.set(held.get() + sign * bytes));
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SECOND_NS: u64 = 1_000_000_000;

/// Many processes, each of which takes and gives back at several places and leaks at one.
struct Machine {
    host: Host,
    detection: Detection,
    processes: u32,
    sites: u32,
    second: u64,
    samples: u32,
    /// Open descriptors of each process.
    open: HashMap<u32, Vec<u32>>,
}

struct ByAddress;

impl Unwind for ByAddress {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        StackId(u32::try_from(stack.taken.pc).unwrap_or(0))
    }

    fn waiting(&mut self, _: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId::NONE
    }
}

const START_NS: u64 = 500 * SECOND_NS;

impl Machine {
    fn new(processes: u32, sites: u32) -> Self {
        Self {
            host: Host::default(),
            detection: Detection::default(),
            processes,
            sites,
            second: 1_000,
            samples: 0,
            open: HashMap::new(),
        }
    }

    /// One second; only `busy` processes do something. Says how long detection took.
    fn tick(&mut self, busy: u32) -> Duration {
        self.second += 1;
        let now_ns = self.second * SECOND_NS;
        let moment = Moment {
            monotonic_ns: now_ns,
            boottime_ns: now_ns,
            unix_ms: self.second * 1_000,
        };
        let (mut stacks, mut records) = (Vec::new(), Vec::new());
        for pid in 1..=busy.min(self.processes) {
            for site in 1..=self.sites {
                self.samples += 1;
                stacks.push(born(pid, site, self.samples, now_ns));
                let open = self.open.entry(pid).or_default();
                // The first place never gives back.
                if site > 1 {
                    open.push(self.samples);
                }
            }
            let open = self.open.entry(pid).or_default();
            let most = 3 * self.sites as usize;
            while open.len() > most {
                records.push(closed(pid, open.remove(0), now_ns));
            }
        }
        let rows: Vec<TaskRow> = (1..=self.processes).map(|pid| self.row(pid)).collect();
        let mut apply = |reading| self.host.apply(moment, reading, &mut ByAddress);
        apply(Reading::Tasks(rows));
        apply(Reading::Stacks(stacks));
        apply(Reading::Records(records));
        let began = processor_time();
        let observed = self.host.processes().map(|process| Observed {
            subject: SubjectKey::Process(process.id),
            program: None,
            age_ns: now_ns - START_NS,
            levels: Levels {
                memory: process.row.rss_anon_bytes,
                fds: u64::from(process.row.fds),
                threads: 1,
                maps: 50,
            },
            load: u64::from(process.row.fds) * u64::from(self.sites),
            limits: &[],
            sites: Some(process),
            counts: &[],
            blind: false,
        });
        self.detection.update(moment, observed);
        processor_time().saturating_sub(began)
    }

    fn row(&self, pid: u32) -> TaskRow {
        let open = self.open.get(&pid).map_or(0, Vec::len);
        let leaked = if open > 0 { self.second - 1_000 } else { 0 };
        TaskRow {
            start_boottime_ns: START_NS,
            tgid: pid,
            threads: 1,
            fds: u32::try_from(open as u64 + leaked).unwrap_or(u32::MAX),
            rss_anon_bytes: (leaked + leaked % 7) << 20,
            ..TaskRow::zeroed()
        }
    }
}

/// Of the running thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn born(pid: u32, site: u32, sample: u32, now_ns: u64) -> CopiedStack {
    CopiedStack {
        taken: StackTaken {
            start_boottime_ns: START_NS,
            time_ns: now_ns,
            item: u64::from(sample),
            pc: u64::from(site),
            tgid: pid,
            tid: pid,
            sample,
            kind: Kind::Socket as u32,
            weight: 1,
            ..StackTaken::zeroed()
        },
        memory: Bytes::new(),
        frames: Vec::new(),
    }
}

fn closed(pid: u32, sample: u32, now_ns: u64) -> Record {
    Record::FdClosed(FdClosed {
        header: Header {
            kind: RecordKind::FdClosed as u32,
            tgid: pid,
            time_ns: now_ns,
        },
        birth_ns: now_ns - 3 * SECOND_NS,
        sample,
        fd: 0,
    })
}

/// Bytes that the detection of a machine frees when it goes.
fn bytes(machine: Machine) -> isize {
    let before = HELD.get();
    drop(machine.detection);
    before - HELD.get()
}

#[test]
fn memory_of_a_process_is_bounded_under_churn() {
    let idle = |ticks: u32| {
        let mut machine = Machine::new(100, 1);
        for _ in 0..ticks {
            machine.tick(0);
        }
        bytes(machine) / 100
    };
    let each = idle(200);
    assert!(each <= IDLE_BYTES, "{each} bytes for a process that does nothing");

    // More stacks than are kept, all of them at work, for minutes.
    let mut machine = Machine::new(1, 400);
    for _ in 0..200 {
        machine.tick(1);
    }
    let each = bytes(machine);
    eprintln!("{each} bytes at 400 stacks");
    assert!(each <= MOST_BYTES, "{each} bytes");

    let mut machine = Machine::new(1, 10);
    for _ in 0..1_500 {
        machine.tick(1);
    }
    let each = bytes(machine);
    eprintln!("{each} bytes at 10 stacks");
    assert!(each <= USUAL_BYTES, "{each} bytes");
}

/// As `docs/overhead.md` says.
const IDLE_BYTES: isize = 600;
const USUAL_BYTES: isize = 24 << 10;
const MOST_BYTES: isize = 256 << 10;

/// `--release --ignored --nocapture` shows it.
#[test]
#[ignore = "a measurement, for docs/overhead.md"]
fn time_of_a_tick_at_3000_processes() {
    for busy in [0, 30, 300, 3_000] {
        let mut machine = Machine::new(3_000, 10);
        let mut ticks: Vec<Duration> = (0..60).map(|_| machine.tick(busy)).collect();
        ticks.drain(..30);
        ticks.sort_unstable();
        let mean = ticks.iter().sum::<Duration>() / 30;
        let bytes = bytes(machine) / 3_000;
        println!(
            "{busy} of 3000 busy: mean {mean:.2?}, most {:.2?} a tick; {bytes} bytes a process",
            ticks[29]
        );
    }
}
