//! What a fuzzer gives to the readers of answers.

/// As the stream of a tracing session of .NET.
pub fn nettrace(bytes: &[u8]) {
    super::eventpipe::fuzzing::read(bytes);
}
