//! Any bytes as what a binary with V8 states, and as a page of its heap.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::v8(bytes));
