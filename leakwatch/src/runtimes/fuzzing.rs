//! What a fuzzer gives to the readers of foreign memory and files.

/// As Python's: code objects and the functions they are of, and the lists of the collector.
pub fn python(bytes: &[u8]) {
    super::cpython::fuzzing::read(bytes);
}

/// As the counters of a JVM.
pub fn hsperfdata(bytes: &[u8]) {
    let _ = super::jvm::perf_data::PerfData::parse(bytes);
}

/// As Go's: build information, goroutines, the list of allocation sites.
pub fn go(bytes: &[u8]) {
    super::go::fuzzing::read(bytes);
}
