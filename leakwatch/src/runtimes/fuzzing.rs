//! What a fuzzer gives to the readers of foreign memory and files.

use std::{
    fs::File,
    io::{self, Write as _},
};

use leakwatch_common::interpreter::FrameWords;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{interpreters::ReadsFrames, lua, memory::Memory, perl, php, ruby};
use crate::{
    hotspot, recognise,
    symbols::{elf_file::ElfFile, gopclntab::GoTable},
    target_memory::flat::Flat,
    v8::metadata,
};

/// Addresses that are looked up in a table of Go's.
const ADDRESSES: std::ops::Range<u64> = 0x40_1000..0x40_1100;
/// Words of memory at the most: each step of a walk is a system call.
const MAX_WORDS: usize = 4096;

/// As Python's: code objects and the functions they are of, and the lists of the collector.
pub fn python(bytes: &[u8]) {
    super::cpython::fuzzing::read(bytes);
}

/// As what frames of PHP, Ruby, Perl and Lua lead to.
pub fn scripts(bytes: &[u8]) {
    let words = memory_of(bytes);
    let mut memory = Memory::of_process(std::process::id());
    let readers: [&dyn ReadsFrames; 4] = [
        &php::Frames::newest(),
        &ruby::Frames::newest(),
        &perl::Frames::newest(),
        &lua::Frames::newest(),
    ];
    for reader in readers {
        for pair in words.chunks_exact(2) {
            let words = FrameWords {
                code: pair[0],
                position: pair[1],
            };
            let _ = reader.function(&mut memory, words);
        }
    }
}

/// As the counters of a JVM.
pub fn hsperfdata(bytes: &[u8]) {
    let _ = super::jvm::perf_data::PerfData::parse(bytes);
}

/// As Go's: build information, goroutines, the list of allocation sites.
pub fn go(bytes: &[u8]) {
    super::go::fuzzing::read(bytes);
}

/// As V8's: what a binary states, and a page of a heap.
pub fn v8(bytes: &[u8]) {
    super::node::fuzzing::read(bytes);
}

/// As heaps of glibc.
pub fn glibc(bytes: &[u8]) {
    super::glibc::fuzzing::read(bytes);
}

/// As the BEAM's tables.
pub fn beam(bytes: &[u8]) {
    super::beam::fuzzing::read(bytes);
}

/// As .NET's: mappings, segments of a heap and the objects in them, metadata.
pub fn dotnet(bytes: &[u8]) {
    super::dotnet::fuzzing::read(bytes);
}

/// As a file of a runtime: what it is, Go's table of functions, V8's metadata, the tables of a `libjvm.so`.
///
/// # Errors
/// When there is no memory for the file.
pub fn file(bytes: &[u8]) -> io::Result<()> {
    let mut file = File::from(memfd_create("runtime", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    recognise::read_file(file.try_clone()?);
    let _ = metadata::Layout::of_file(file.try_clone()?);
    let mut memory = Flat { start: 0, bytes };
    if let Ok(structs) = hotspot::structs(file.try_clone()?, 0, &mut memory) {
        let _ = hotspot::release(&structs, &mut memory);
        let _ = hotspot::code::CodeCache::read(&structs, &mut memory);
        let _ = hotspot::method::Methods::new(&structs);
    }
    if let Ok(elf) = ElfFile::read(file)
        && let Ok(Some(table)) = GoTable::read(&elf)
    {
        for address in ADDRESSES {
            let _ = table.find(address);
        }
    }
    Ok(())
}

/// The bytes as memory of this process: a small number in them leads to that word of them.
pub(super) fn memory_of(bytes: &[u8]) -> Vec<u64> {
    let mut words: Vec<u64> = bytes
        .chunks_exact(8)
        .take(MAX_WORDS)
        .filter_map(|word| Some(u64::from_le_bytes(*word.first_chunk()?)))
        .collect();
    let start = words.as_ptr() as u64;
    let count = words.len() as u64;
    let address = |word: u64| if word < count { start + 8 * word } else { word };
    words.iter_mut().for_each(|word| *word = address(*word));
    words
}
