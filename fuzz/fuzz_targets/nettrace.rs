//! Any bytes as what .NET tells of its heap.
#![no_main]

use leakwatch::attach::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::nettrace(bytes));
