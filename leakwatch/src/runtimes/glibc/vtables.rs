//! C++ classes by the table of virtual functions that an object begins with.
//!
//! The Itanium C++ ABI (2.5.2, 2.9): two words before where objects point stands the offset to the top of the object, one
//! before it the `type_info`, whose second word is the mangled name. Compilers leave that out of no program unless told to
//! (`-fno-rtti`), and stripping does not.

use std::ops::Range;

use super::tally::{Amount, Tally, row};
use crate::{
    model::census::{CensusRow, Counted},
    runtimes::target::Target,
    symbols::demangle,
    target_memory::TargetMemory,
};

/// Classes that are named.
const MAX_CLASSES: usize = 32;
/// First words that are looked into for them.
const MAX_WORDS: usize = 256;
/// Longest mangled name, bytes.
const MAX_NAME: usize = 500;

/// Parts of files that cannot be written to, where tables and names may be.
pub(super) fn read_only(target: &Target) -> Vec<Range<u64>> {
    let files = target.mappings().iter().filter(|mapping| {
        mapping.readable && !mapping.writable && !mapping.is_anonymous() && mapping.name.starts_with('/')
    });
    files.map(|mapping| mapping.start..mapping.end).collect()
}

/// The classes of what is in use, those of most bytes first.
pub(super) fn classes(tally: &Tally, files: &[Range<u64>], memory: &mut impl TargetMemory) -> Vec<CensusRow> {
    let mut classes: Vec<(String, Amount)> = Vec::new();
    for (word, amount) in tally.words().into_iter().take(MAX_WORDS) {
        let Some(name) = class(word, files, memory) else {
            continue;
        };
        // One class may have a table in each of several modules.
        let known = classes.iter().position(|(known, _)| *known == name);
        if let Some(known) = known {
            let sum = &mut classes[known].1;
            sum.count += amount.count;
            sum.bytes += amount.bytes;
        } else if classes.len() < MAX_CLASSES {
            classes.push((name, amount));
        }
    }
    let classes = classes.into_iter();
    classes
        .map(|(name, amount)| row(Counted::Class, name, amount))
        .collect()
}

/// The class whose objects point to `table`.
fn class(table: u64, files: &[Range<u64>], memory: &mut impl TargetMemory) -> Option<String> {
    let is_in_file = |address: u64| {
        let index = files.partition_point(|file| file.end <= address);
        files.get(index).is_some_and(|file| file.start <= address)
    };
    let offset_to_top = memory.word(table.checked_sub(16)?).ok()?;
    let type_info = memory.word(table - 8).ok()?;
    if offset_to_top != 0 || type_info % 8 != 0 || !is_in_file(type_info) {
        return None;
    }
    // Its own table comes first: `__class_type_info` or what is derived from it.
    let kind = memory.word(type_info).ok()?;
    let name = memory.word(type_info + 8).ok()?;
    if !is_in_file(kind) || !is_in_file(name) {
        return None;
    }
    demangled(&memory.text(name).ok()?)
}

/// The name of a type as `type_info` has it. A `*` before it says that other modules may mean another type by it.
fn demangled(mangled: &[u8]) -> Option<String> {
    let mangled = mangled.strip_prefix(b"*").unwrap_or(mangled);
    let is_mangled = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte);
    let begins = mangled.first()?;
    if mangled.len() > MAX_NAME || !mangled.iter().copied().all(is_mangled) {
        return None;
    }
    if !begins.is_ascii_digit() && !b"NSZ".contains(begins) {
        return None;
    }
    let symbol = format!("_ZTS{}", str::from_utf8(mangled).ok()?);
    let name = demangle::name(&symbol);
    name.strip_prefix("typeinfo name for ").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn only_names_of_types_are_names() {
        let name = |mangled: &str| demangled(mangled.as_bytes());
        assert_eq!(name("12OrderSession").as_deref(), Some("OrderSession"));
        assert_eq!(name("N4shop5OrderE").as_deref(), Some("shop::Order"));
        assert_eq!(
            name("*N12_GLOBAL__N_15CacheE").as_deref(),
            Some("(anonymous namespace)::Cache")
        );
        for other in [
            "",
            "*",
            "password",
            "12",
            "12 OrderSession",
            "99Order",
            "7Sess\u{1b}[",
            "N4shop",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
        assert_eq!(name(&format!("600{}", "a".repeat(600))), None);
    }
}
