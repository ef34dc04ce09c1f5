//! Any bytes as the tables of the BEAM.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::beam(bytes));
