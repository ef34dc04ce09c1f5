//! Any bytes as what a Python program has in its memory.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::python(bytes));
