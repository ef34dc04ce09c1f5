//! Any bytes as what a Go program has in its file and its memory.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::go(bytes));
