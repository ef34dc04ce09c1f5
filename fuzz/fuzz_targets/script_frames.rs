//! Any bytes as what frames of PHP, Ruby, Perl and Lua lead to.
#![no_main]

use leakwatch::runtimes::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::scripts(bytes));
