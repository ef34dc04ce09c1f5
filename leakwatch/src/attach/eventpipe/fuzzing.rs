//! Any bytes as a stream.

use super::{heap_dump::HeapDump, nettrace::Nettrace, type_name::without_arguments};

pub(in crate::attach) fn read(bytes: &[u8]) {
    let Ok(mut trace) = Nettrace::begin(bytes) else {
        return;
    };
    let mut dump = HeapDump::default();
    while let Ok(true) = dump.read(&mut trace) {}
    for (_, objects) in dump.into_types() {
        let _ = without_arguments(&objects.told);
    }
}
