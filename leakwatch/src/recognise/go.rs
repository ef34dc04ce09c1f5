//! Go programs, by `.go.buildinfo`, which survives `-s -w`.

use crate::{model::sanitize, symbols::elf_file::ElfFile};

/// Longest section that is looked at, bytes. Modules and their versions are in it.
const MAX_SECTION: usize = 1 << 20;
/// Layout of `debug/buildinfo`: magic, size of a pointer, flags.
const MAGIC: &[u8] = b"\xff Go buildinf:";
const FLAGS: usize = 15;
/// From Go 1.18 the version stands in the section itself, behind a header of this size.
const INLINE: u8 = 2;
const HEADER: usize = 32;
/// Longest version, bytes.
const MAX_VERSION: u64 = 64;

/// Whether it is one.
pub(super) fn is_it(elf: &ElfFile) -> bool {
    elf.section(".go.buildinfo").is_some()
}

/// Which Go built it, without the `go` before the number. `None` of one older than Go 1.18.
pub(super) fn version(elf: &ElfFile) -> Option<String> {
    parse(&elf.data(elf.section(".go.buildinfo")?, MAX_SECTION).ok()?)
}

fn parse(section: &[u8]) -> Option<String> {
    if !section.starts_with(MAGIC) || section.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    let (length, text) = varint(section.get(HEADER..)?)?;
    let length = usize::try_from(length.min(MAX_VERSION)).ok()?;
    // `devel go1.27-...` or `go1.22.1 X:boringcrypto` stand there too.
    let words = sanitize::text(text.get(..length)?);
    let version = words.split(' ').find_map(|word| word.strip_prefix("go"))?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{HEADER, MAGIC, parse};

    fn section(version: &[u8]) -> Vec<u8> {
        let mut section = MAGIC.to_vec();
        section.extend([8, 2]);
        section.resize(HEADER, 0);
        section.push(u8::try_from(version.len()).unwrap());
        section.extend(version);
        section
    }

    #[test]
    fn the_version_is_behind_the_header() {
        assert_eq!(parse(&section(b"go1.22.1")), Some("1.22.1".into()));
        assert_eq!(parse(&section(b"go1.23 X:boringcrypto")), Some("1.23".into()));
        assert_eq!(parse(&section(b"devel go1.27-abc")), Some("1.27-abc".into()));
    }

    #[test]
    fn broken_ones_have_none() {
        let whole = section(b"go1.22.1");
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None);
        }
        assert_eq!(parse(&section(b"gone")), None);
        let mut endless = section(b"");
        endless.truncate(HEADER);
        endless.extend([0xff; 16]);
        assert_eq!(parse(&endless), None);
    }
}
