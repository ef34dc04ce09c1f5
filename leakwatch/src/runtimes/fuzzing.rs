//! What a fuzzer gives to the readers of foreign memory and files.

/// As Go's: build information, goroutines, the list of allocation sites.
pub fn go(bytes: &[u8]) {
    super::go::fuzzing::read(bytes);
}
