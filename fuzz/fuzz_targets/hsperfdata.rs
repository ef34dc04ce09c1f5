//! Any bytes as the counters that a JVM shares.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::hsperfdata(bytes));
