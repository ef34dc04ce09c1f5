//! Where a runtime's file says which version it is.

use std::{collections::HashMap, ops::ControlFlow};

use memchr::memmem;

use super::{marks::Mark, pieces};
use crate::{model::sanitize, symbols::elf_file::ElfFile};

/// Longest version, bytes. `17.0.15+6-Debian-1deb12u1` has 25.
const LONGEST: usize = 64;
/// Different texts that look like a version before they are called ambiguous.
const MAX_CANDIDATES: usize = 8;

/// Where a version is.
#[derive(Clone, Copy, Debug)]
pub(super) enum VersionIn {
    /// Text at that symbol.
    Text(&'static str),
    /// `PY_VERSION_HEX` at that symbol.
    PythonNumber(&'static str),
    /// One byte at each symbol.
    Bytes([&'static str; 3]),
    /// Behind this text among the constants.
    After(&'static [u8]),
    /// A constant of its own that begins like this and is nothing but digits and dots behind it; there is only one.
    Alone(&'static [u8]),
    /// Behind this in the name of the file.
    FileName(&'static str),
    /// The name of the directory that the file is in.
    Directory,
}

/// A file of a runtime.
pub(super) struct Source<'a> {
    pub(super) elf: &'a ElfFile,
    pub(super) marks: &'a HashMap<&'static str, Mark>,
    /// Its path, as it is mapped.
    pub(super) path: &'a str,
}

impl VersionIn {
    /// Symbols that [`Self::of`] wants to know.
    pub(super) fn symbols(&self) -> &[&'static str] {
        match self {
            Self::Text(symbol) | Self::PythonNumber(symbol) => std::slice::from_ref(symbol),
            Self::Bytes(symbols) => symbols,
            Self::After(_) | Self::Alone(_) | Self::FileName(_) | Self::Directory => &[],
        }
    }

    /// What it says there.
    pub(super) fn of(&self, source: &Source<'_>) -> Option<String> {
        let bytes = |symbol: &str| source.marks.get(symbol)?.bytes(source.elf, LONGEST);
        match self {
            Self::Text(symbol) => leading(&bytes(symbol)?),
            Self::PythonNumber(symbol) => python_number(&bytes(symbol)?),
            Self::Bytes(symbols) => {
                let numbers: Option<Vec<String>> = symbols
                    .iter()
                    .map(|symbol| Some(bytes(symbol)?.first()?.to_string()))
                    .collect();
                Some(numbers?.join("."))
            }
            Self::After(text) => behind(source.elf, text),
            Self::Alone(begin) => alone(source.elf, begin),
            Self::FileName(begin) => {
                let name = source.path.rsplit('/').next()?.strip_prefix(begin)?;
                let digits = name.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
                leading(digits.trim_end_matches('.').as_bytes())
            }
            Self::Directory => {
                let directory = source.path.rsplit('/').nth(1)?;
                leading(directory.as_bytes()).filter(|version| version.contains('.'))
            }
        }
    }
}

/// The version that `bytes` begin with: a digit, and what may be in a version behind it.
fn leading(bytes: &[u8]) -> Option<String> {
    let may_be_in_one = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte);
    let end = bytes
        .iter()
        .position(|&byte| !may_be_in_one(byte))
        .unwrap_or(bytes.len());
    let version = &bytes[..end.min(LONGEST)];
    // A sentence may end behind it.
    let version = version.strip_suffix(b".").unwrap_or(version);
    version
        .first()
        .is_some_and(u8::is_ascii_digit)
        .then(|| sanitize::text(version))
}

/// `PY_VERSION_HEX` (Include/patchlevel.h): major, minor and micro, a byte each, the highest first.
fn python_number(bytes: &[u8]) -> Option<String> {
    let number = u32::from_le_bytes(*bytes.first_chunk()?);
    let [major, minor, micro, _] = number.to_be_bytes();
    (2..=9)
        .contains(&major)
        .then(|| format!("{major}.{minor}.{micro}"))
}

fn behind(elf: &ElfFile, text: &[u8]) -> Option<String> {
    [".rodata", ".data"].iter().find_map(|name| {
        let mut found = None;
        pieces::each(elf, elf.section(name)?, text.len() + LONGEST, |_, bytes| {
            found = memmem::find_iter(bytes, text).find_map(|at| leading(&bytes[at + text.len()..]));
            if found.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        found
    })
}

fn alone(elf: &ElfFile, begin: &[u8]) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    let delimited: Vec<u8> = [b"\0", begin].concat();
    pieces::each(
        elf,
        elf.section(".rodata")?,
        delimited.len() + LONGEST,
        |_, bytes| {
            for at in memmem::find_iter(bytes, &delimited) {
                let text = bytes[at + 1..]
                    .split(|&byte| byte == 0)
                    .next()
                    .unwrap_or_default();
                let digits = text.strip_prefix(b"v").unwrap_or(text);
                let is_version = digits.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
                    && digits
                        .split(|&byte| byte == b'.')
                        .filter(|part| !part.is_empty())
                        .count()
                        == 3;
                if is_version
                    && text.len() < LONGEST
                    && found.len() < MAX_CANDIDATES
                    && let Some(version) = leading(digits)
                    && !found.contains(&version)
                {
                    found.push(version);
                }
            }
            ControlFlow::Continue(())
        },
    );
    <[String; 1]>::try_from(found).ok().map(|[version]| version)
}

#[cfg(test)]
mod tests {
    use super::{leading, python_number};

    #[test]
    fn versions_as_they_are_written() {
        assert_eq!(
            leading(b"17.0.15+6-Debian-1), built"),
            Some("17.0.15+6-Debian-1".into())
        );
        assert_eq!(leading(b"25\0"), Some("25".into()));
        assert_eq!(leading(b"2.36.\nCopyright"), Some("2.36".into()));
        assert_eq!(leading(b"x86\0"), None);
        assert_eq!(leading(b""), None);
        assert_eq!(
            python_number(&0x030b_02f0_u64.to_le_bytes()),
            Some("3.11.2".into())
        );
        assert_eq!(python_number(&[0; 8]), None);
    }
}
