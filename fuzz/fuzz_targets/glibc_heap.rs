//! Any bytes as heaps of glibc, and as tables of virtual functions.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::glibc(bytes));
