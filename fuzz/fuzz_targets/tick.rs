//! Any tick, twice, in a recording that is whole otherwise: what it holds gets through the pipeline without a panic.
#![no_main]

use leakwatch::record::{Replay, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|tick: &[u8]| {
    let file = fuzzing::recording(&[tick, tick]);
    let replay = Replay::open(&file[..]).expect("the header is whole");
    replay.for_each(drop);
});
