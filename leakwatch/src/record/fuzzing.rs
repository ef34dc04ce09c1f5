//! What the fuzz targets need and nobody else does.

use std::time::Duration;

use super::{Header, HostFacts, writer::Writer};
use crate::run::Setup;

/// A recording whose ticks hold these bytes.
///
/// # Panics
///
/// When a tick is larger than a fuzzer makes them.
pub fn recording(ticks: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let header = Header::new(Setup::default(), HostFacts::default(), Duration::from_secs(1), 0);
    let mut writer = Writer::begin(&mut file, &header).expect("memory takes everything");
    for tick in ticks {
        writer.tick(tick).expect("memory takes everything");
    }
    drop(writer);
    file
}
