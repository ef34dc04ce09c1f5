//! How HotSpot, the Java virtual machine of OpenJDK, lays out its data; read from outside while the program runs on.
//!
//! `libjvm.so` describes itself in tables that it exports for debuggers ([`vm_structs`]). So offsets come from the build at
//! hand and none is guessed. What a field means is known of the releases in [`is_known`].

pub(crate) mod class_name;
pub(crate) mod code;
pub(crate) mod method;
pub(crate) mod vm_structs;

use std::{fs::File, io};

use object::{LittleEndian, elf::SHT_DYNSYM, read::elf::Sym as _};

use self::vm_structs::VmStructs;
use crate::{
    model::sanitize,
    symbols::{elf_file::ElfFile, symbol_table::SymbolTable},
    target_memory::TargetMemory,
};

/// Every `libjvm.so` of HotSpot exports it.
pub(crate) const MARK: &str = "gHotSpotVMStructs";
/// Longest text of a release, bytes.
const MAX_RELEASE: usize = 64;

/// Why a JVM cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    /// Nothing is known of this release.
    #[error("{0} is a version that leakwatch does not know")]
    Release(String),
    /// It is no HotSpot.
    #[error("its libjvm.so is not HotSpot's: it has no gHotSpotVMStructs")]
    OtherJvm,
    /// What was read is not what has to be there.
    #[error("it is not laid out as HotSpot is: {0}")]
    Layout(&'static str),
    /// It describes itself, without this.
    #[error("it does not say where {0} is")]
    Missing(&'static str),
    /// The process has ended, or may not be read.
    #[error("its memory cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// What the JVM of a process says of itself; `bias` is added to addresses in its `libjvm.so`, and wraps.
///
/// # Errors
/// When it is no HotSpot, or its tables are broken.
pub(crate) fn structs(libjvm: File, bias: u64, memory: &mut impl TargetMemory) -> Result<VmStructs, Unknown> {
    let elf = ElfFile::read(libjvm).map_err(|_| Unknown::OtherJvm)?;
    let table = SymbolTable::read(&elf, SHT_DYNSYM).ok_or(Unknown::OtherJvm)?;
    let symbols = table
        .defined()
        .map(|(name, symbol)| (name, symbol.st_value(LittleEndian).wrapping_add(bias)));
    VmStructs::read(symbols, memory)
}

/// `17.0.15+6-Debian-1deb12u1`.
///
/// # Errors
/// When the JVM does not say where it is.
pub(crate) fn release(structs: &VmStructs, memory: &mut impl TargetMemory) -> Result<String, Unknown> {
    let address = memory.word(structs.address(&[("Abstract_VM_Version", "_s_vm_release")])?)?;
    let mut text = [0; MAX_RELEASE];
    memory.read(address, &mut text)?;
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    Ok(sanitize::text(&text[..end]))
}

/// Whether the fields of this release (`17.0.15+6-Debian-1deb12u1`) mean what is written here.
pub(crate) fn is_known(release: &str) -> bool {
    feature(release).is_some_and(|feature| (11..=25).contains(&feature))
}

/// The first number of it. Up to JDK 8, where it is HotSpot's own (`25.302-b08`), it has no `+`.
fn feature(release: &str) -> Option<u32> {
    let (number, _) = release.split_once('+')?;
    number.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (release, is) in [
            ("17.0.15+6-Debian-1deb12u1", Some(17)),
            ("25.0.2+10-LTS", Some(25)),
            ("21+35", Some(21)),
            ("26-ea+5", Some(26)),
            ("25.302-b08", None),
            ("", None),
            ("x+y", None),
        ] {
            assert_eq!(feature(release), is, "{release}");
        }
    }
}
