//! What a fuzzer gives to the readers of foreign memory that name frames.

/// As the memory of a program on CoreCLR: its code, and the methods behind it.
pub fn dotnet(bytes: &[u8]) {
    super::jit::fuzzing::dotnet(bytes);
}
