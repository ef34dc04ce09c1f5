//! The options that a JVM runs with, given or chosen by itself (`jvmFlag.hpp`).

use super::super::{Unknown, memory::Memory};
use crate::{hotspot::vm_structs::VmStructs, target_memory::TargetMemory as _};

/// More options than any JVM has; JDK 25 has 1,400.
const MAX_FLAGS: u64 = 8192;

/// Those that decide how its heap is laid out. What a JVM does not have is off in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) g1: bool,
    pub(super) parallel: bool,
    pub(super) serial: bool,
    pub(super) z: bool,
    pub(super) shenandoah: bool,
    pub(super) epsilon: bool,
    pub(super) compressed_class_pointers: bool,
    pub(super) compressed_oops: bool,
    pub(super) compact_object_headers: bool,
}

impl Flags {
    /// Reads them.
    ///
    /// # Errors
    /// When the JVM does not say where they are.
    pub(super) fn read(structs: &VmStructs, memory: &mut Memory) -> Result<Self, Unknown> {
        let table = memory.value::<u64>(structs.address(&[("JVMFlag", "flags")])?)?;
        let length = memory.value::<u64>(structs.address(&[("JVMFlag", "numFlags")])?)?;
        let size = structs.size("JVMFlag")?;
        let name = structs.offset(&[("JVMFlag", "_name")])?;
        let address = structs.offset(&[("JVMFlag", "_addr")])?;
        if !(1..=MAX_FLAGS).contains(&length) || table.checked_add(MAX_FLAGS << 20).is_none() {
            return Err(Unknown::Layout("a wrong number of options"));
        }
        let mut flags = Self::default();
        for index in 0..length {
            let flag = table + index * size;
            let text = memory.cached::<u64>(flag + name)?;
            if text == 0 {
                break;
            }
            if let Some(is_on) = flags.by_name(&memory.text(text)?) {
                let value = memory.cached(flag + address)?;
                *is_on = memory.value::<u8>(value)? != 0;
            }
        }
        Ok(flags)
    }

    fn by_name(&mut self, name: &[u8]) -> Option<&mut bool> {
        Some(match name {
            b"UseG1GC" => &mut self.g1,
            b"UseParallelGC" => &mut self.parallel,
            b"UseSerialGC" => &mut self.serial,
            b"UseZGC" => &mut self.z,
            b"UseShenandoahGC" => &mut self.shenandoah,
            b"UseEpsilonGC" => &mut self.epsilon,
            b"UseCompressedClassPointers" => &mut self.compressed_class_pointers,
            b"UseCompressedOops" => &mut self.compressed_oops,
            b"UseCompactObjectHeaders" => &mut self.compact_object_headers,
            _ => return None,
        })
    }
}
