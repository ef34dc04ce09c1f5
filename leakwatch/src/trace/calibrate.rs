//! What one hit of a probe costs on this host: measured by calling functions of our own, with and without.

use std::{
    arch::naked_asm,
    fs,
    hint::black_box,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Instant,
};

use leakwatch_common::allocation::Control;

use super::{TraceError, cost::HitCosts};
use crate::kernel::{AllocationProbes, AllocationProgram};

/// Calls between two looks at the clock, and how often that is done. The fastest counts: the others were interrupted.
const ROUNDS: u32 = 7;
const CALLS: u32 = 400;
const DEAR_CALLS: u32 = 40;

/// Defines functions that return their argument, so that each can be probed in its own way at the same time.
macro_rules! functions {
    ($($name:ident: $instruction:literal;)+) => {$(
        #[unsafe(naked)]
        extern "C" fn $name(_address: u64) -> u64 {
            #[cfg(target_arch = "x86_64")]
            naked_asm!($instruction, "mov rax, rdi", "ret");
            #[cfg(target_arch = "aarch64")]
            naked_asm!($instruction, "ret");
        }
    )+};
}

// They begin with what the kernel emulates, but for the last one.
#[cfg(target_arch = "x86_64")]
functions! {
    untouched: "nop";
    freeing: "nop";
    beginning: "nop";
    returning: "nop";
    stepped: "mov rcx, rdi";
}
#[cfg(target_arch = "aarch64")]
functions! {
    untouched: "nop";
    freeing: "nop";
    beginning: "nop";
    returning: "nop";
    stepped: "mov x1, x0";
}

/// An address that nothing has.
const ADDRESS: u64 = 0x1000;

/// Measures. Afterwards nothing is attached and nothing followed.
pub(super) fn measure(probes: &mut AllocationProbes) -> Result<HitCosts, TraceError> {
    let outcome = costs(probes);
    probes.detach();
    probes.forget()?;
    outcome
}

fn costs(probes: &mut AllocationProbes) -> Result<HitCosts, TraceError> {
    use AllocationProgram::{Allocate, Allocated, Deallocate};
    probes.follow(Control::NONE)?;
    attach(probes, Deallocate, freeing)?;
    attach(probes, Allocate, beginning)?;
    attach(probes, Allocated, returning)?;
    attach(probes, Allocate, returning)?;
    attach(probes, Deallocate, stepped)?;
    let nothing = fastest(untouched, CALLS);
    let added = |function, calls| (fastest(function, calls) - nothing).max(0.0);
    let free_ns = added(freeing, CALLS);
    let allocation_ns = added(beginning, CALLS);
    let both = added(returning, CALLS);
    let stepping = added(stepped, DEAR_CALLS);
    probes.follow(Control::ALL)?;
    let followed = added(returning, DEAR_CALLS);
    Ok(HitCosts {
        allocation_ns,
        free_ns,
        stepping_ns: (stepping - free_ns).max(0.0),
        return_ns: (both - allocation_ns).max(0.0),
        breakpoint_ns: free_ns,
        stack_ns: (followed - both).max(0.0),
    })
}

fn attach(
    probes: &mut AllocationProbes,
    program: AllocationProgram,
    function: extern "C" fn(u64) -> u64,
) -> Result<(), TraceError> {
    let pid =
        NonZeroU32::new(std::process::id()).ok_or(TraceError::Calibration("this process has no number"))?;
    let (file, offset) = place(function as usize as u64)
        .ok_or(TraceError::Calibration("its own code is not in /proc/self/maps"))?;
    probes.attach(program, &file, offset, pid)?;
    Ok(())
}

/// Nanoseconds of one call.
fn fastest(function: extern "C" fn(u64) -> u64, calls: u32) -> f64 {
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(black_box(function)(ADDRESS));
        }
        begun.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// Where code of this process is in a file.
fn place(address: u64) -> Option<(PathBuf, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        let offset = number(fields.nth(1)?)?;
        (start..end)
            .contains(&address)
            .then(|| (Path::new("/proc/self/exe").to_owned(), address - start + offset))
    })
}
