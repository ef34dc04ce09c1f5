//! Any file: an answer, no panic, no memory without bound. Checksums are not checked when it is built for a fuzzer.
#![no_main]

use leakwatch::record::Replay;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(replay) = Replay::open(file) {
        replay.for_each(drop);
    }
});
