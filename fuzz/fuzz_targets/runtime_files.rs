//! Any bytes as a file that a process maps.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::file(bytes).expect("a file of memory"));
