//! Any bytes as what a .NET program has in its memory.
#![no_main]

use leakwatch::{runtimes, unwind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    runtimes::fuzzing::dotnet(bytes);
    unwind::fuzzing::dotnet(bytes);
});
