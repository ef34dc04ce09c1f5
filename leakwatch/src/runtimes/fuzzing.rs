//! What a fuzzer gives to the readers of foreign memory and files.

/// As the counters of a JVM.
pub fn hsperfdata(bytes: &[u8]) {
    let _ = super::jvm::perf_data::PerfData::parse(bytes);
}
