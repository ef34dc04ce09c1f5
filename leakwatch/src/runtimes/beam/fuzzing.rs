//! Any bytes, read as each thing that the BEAM keeps.

use super::{CALL, MAX_PROCESSES, atoms::Atoms, by_call, initial_call, rows, table::Table};
use crate::target_memory::{TargetMemory as _, flat::Flat};

/// Sizes of the variables that the tables are.
const TABLE: u64 = 320;
const ATOMS: u64 = 128;

/// The bytes are the memory of a process, from 0 on: first its processes, then its atoms.
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let mut memory = Flat { start: 0, bytes };
    let atoms = Atoms::read(&mut memory, TABLE, ATOMS);
    let Ok(processes) = Table::read(&mut memory, 0, TABLE) else {
        return;
    };
    let (Ok(elements), Ok(atoms)) = (processes.elements(&mut memory, MAX_PROCESSES), atoms) else {
        return;
    };
    if let Ok(offset) = initial_call(&mut memory, &elements, atoms) {
        let mut calls = Vec::new();
        for process in elements {
            let mut call = [0; CALL];
            if memory.read(process.wrapping_add(offset), &mut call).is_ok() {
                calls.extend(call);
            }
        }
        let _ = rows(&mut memory, atoms, by_call(&calls));
    }
}
