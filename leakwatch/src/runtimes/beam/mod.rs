//! Erlang and whatever else runs on the BEAM: processes by the function that they began with, ports, atoms.
//!
//! Its tables are exported variables. Where a process keeps the function that it began with differs between builds, so it is
//! looked for in the first process, of which it is known.

mod atoms;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod table;

use std::collections::HashMap;

use self::{atoms::Atoms, table::Table};
use super::{Runtime, Unknown, binary::Binary, memory::Memory, target::Target};
use crate::{
    model::{
        census::{CensusRow, Counted, Counter, MAX_ROWS, RuntimeView},
        runtime, sanitize,
    },
    target_memory::TargetMemory,
};

/// Releases of OTP whose tables are as is written here.
const KNOWN: std::ops::RangeInclusive<u32> = 24..=27;
/// Processes that are looked at.
const MAX_PROCESSES: usize = 1 << 20;
/// Bytes of a process in which the function is looked for; they have about 900.
const PROCESS: usize = 1024;
/// The functions that the first process begins with, in newer releases and in older ones.
const FIRST: &[(&str, &str, u64)] = &[("erl_init", "start", 2), ("otp_ring0", "start", 2)];

/// The BEAM.
pub(super) struct Beam;

impl Runtime for Beam {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        // Only then is the executable opened at every census.
        if !target.threads().iter().any(|(_, name)| is_scheduler(name)) {
            return None;
        }
        let beam = target.executable().ok()?;
        let release = beam.symbol("etp_otp_release")?.address;
        let mut view = RuntimeView {
            runtime: runtime::ERLANG.to_owned(),
            version: memory.text(release).ok().map(|text| sanitize::text(&text)),
            ..RuntimeView::default()
        };
        if let Err(error) = read(&beam, memory, &mut view) {
            view.unknown = Some(error.to_string());
        }
        Some(view)
    }
}

/// Whether a thread is one of its schedulers: `1_scheduler`, in newer releases `erts_sched_1`.
fn is_scheduler(name: &str) -> bool {
    name.starts_with("erts_") || name.ends_with("_scheduler")
}

fn read(beam: &Binary, memory: &mut Memory, view: &mut RuntimeView) -> Result<(), Unknown> {
    let release = view.version.clone().unwrap_or_default();
    let is_known = release.parse().is_ok_and(|release: u32| KNOWN.contains(&release));
    if !is_known {
        return Err(Unknown::Version(release));
    }
    let variable = |name: &'static str| {
        let symbol = beam.symbol(name).ok_or(Unknown::Missing(name))?;
        Ok::<_, Unknown>((symbol.address, symbol.size))
    };
    let (address, size) = variable("erts_proc")?;
    let processes = Table::read(memory, address, size)?;
    let (address, size) = variable("erts_port")?;
    let ports = Table::read(memory, address, size)?;
    let (address, size) = variable("erts_atom_table")?;
    let atoms = Atoms::read(memory, address, size)?;
    let counters = [
        ("processes", processes.count),
        ("process_limit", processes.max),
        ("ports", ports.count),
        ("port_limit", ports.max),
        ("atoms", atoms.entries),
        ("atom_limit", atoms.limit),
    ];
    view.counters = counters
        .into_iter()
        .map(|(name, value)| Counter {
            name: name.to_owned(),
            value,
        })
        .collect();
    let elements = processes.elements(memory, MAX_PROCESSES)?;
    let offset = initial_call(memory, &elements, atoms)?;
    let calls: Vec<u64> = elements
        .iter()
        .map(|process| process.wrapping_add(offset))
        .collect();
    let mut buffer = Vec::new();
    memory.scattered(&calls, CALL, &mut buffer);
    let counts = by_call(&buffer);
    view.rows = rows(memory, atoms, counts);
    Ok(())
}

/// Bytes of a call: module, function, arity.
const CALL: usize = 24;

/// Where in a process the call that it began with is.
fn initial_call(memory: &mut impl TargetMemory, processes: &[u64], atoms: Atoms) -> Result<u64, Unknown> {
    let wrong = Unknown::Layout("its first process");
    // The table begins with it: its number is 0.
    let first = *processes
        .first()
        .ok_or(Unknown::NotKept("it has no processes yet"))?;
    let mut bytes = vec![0; PROCESS];
    memory.read(first, &mut bytes)?;
    let words: Vec<u64> = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
    let is_first = |memory: &mut _, call: &[u64]| {
        FIRST.iter().any(|(module, function, arity)| {
            call[2] == *arity
                && atoms.name(memory, call[0]).as_deref() == Some(module)
                && atoms.name(memory, call[1]).as_deref() == Some(function)
        })
    };
    for (at, call) in (0..).step_by(8).zip(words.windows(3)) {
        if is_first(memory, call) {
            return Ok(at);
        }
    }
    Err(wrong)
}

fn by_call(calls: &[u8]) -> HashMap<[u64; 3], u64> {
    let mut counts: HashMap<[u64; 3], u64> = HashMap::new();
    for call in calls.chunks_exact(CALL) {
        *counts.entry(bytemuck::pod_read_unaligned(call)).or_default() += 1;
    }
    counts
}

/// The functions that most processes began with. What is no function is a process that has ended since.
fn rows(memory: &mut impl TargetMemory, atoms: Atoms, counts: HashMap<[u64; 3], u64>) -> Vec<CensusRow> {
    /// Most arguments of a function.
    const MAX_ARITY: u64 = 255;
    let mut counts: Vec<_> = counts
        .into_iter()
        .filter(|([_, _, arity], _)| *arity <= MAX_ARITY)
        .collect();
    counts.sort_by_key(|&(call, count)| (std::cmp::Reverse(count), call));
    let named = counts
        .into_iter()
        .filter_map(|([module, function, arity], count)| {
            let module = atoms.name(memory, module)?;
            let function = atoms.name(memory, function)?;
            let name = format!("{module}:{function}/{arity}");
            Some(CensusRow::of(Counted::BeamProcess, name, count, None))
        });
    named.take(MAX_ROWS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    #[test]
    fn schedulers_are_known_by_their_threads() {
        for (name, expected) in [
            ("1_scheduler", true),
            ("erts_sched_12", true),
            ("sys_sig_dispatc", false),
            ("scheduler", false),
        ] {
            assert_eq!(is_scheduler(name), expected, "{name}");
        }
    }

    #[test]
    fn the_call_is_found_in_the_first_process_and_counted_in_all() {
        let mut memory = MadeUp::default();
        let terms = atoms::tests::put(&mut memory, 0x10000, &["erl_init", "start", "orders", "wait"]);
        let atoms = Atoms::read(&mut memory, 0x10000, 128).expect("sound");
        memory.put(0x100, &[0; PROCESS]);
        memory.put_words(0x100 + 200, &[terms[0], terms[1], 2]);
        assert_eq!(initial_call(&mut memory, &[0x100], atoms).expect("there"), 200);
        let mut calls: Vec<u64> = [terms[2], terms[3], 1].repeat(3);
        calls.extend([terms[0], terms[1], 2, 5, 6, 7, terms[0], terms[1], 1 << 40]);
        let counts = by_call(bytemuck::cast_slice(&calls));
        let rows: Vec<_> = rows(&mut memory, atoms, counts)
            .into_iter()
            .map(|row| (row.name, row.count))
            .collect();
        assert_eq!(
            rows,
            [
                ("orders:wait/1".to_owned(), 3),
                ("erl_init:start/2".to_owned(), 1)
            ]
        );
    }

    #[test]
    fn a_first_process_that_is_another_is_refused() {
        let mut memory = MadeUp::default();
        atoms::tests::put(&mut memory, 0x10000, &["erl_init", "start"]);
        let atoms = Atoms::read(&mut memory, 0x10000, 128).expect("sound");
        memory.put(0x100, &[0; PROCESS]);
        assert!(initial_call(&mut memory, &[0x100], atoms).is_err());
        assert!(initial_call(&mut memory, &[], atoms).is_err());
        assert!(initial_call(&mut memory, &[8], atoms).is_err());
    }
}
