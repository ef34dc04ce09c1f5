//! What the linker wrote into `.go.buildinfo`: the version of Go, and which module the program is. Format: the package
//! `debug/buildinfo` of the standard library.

/// Longest section that is read, bytes. It lists every module that is linked.
pub(super) const MAX_SIZE: usize = 4 << 20;
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Flag of files of Go 1.18 and later, which hold the text itself and no pointers to it.
const INLINE: u8 = 2;
const FLAGS: usize = 15;
const HEADER: usize = 32;
/// Random bytes in front of the list of modules, and behind it.
const SENTINEL: usize = 16;

/// What a program was built with and from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// `go1.22.10`, with the experiments that were switched on behind it.
    pub(super) version: String,
    /// Path of the main module; empty when it does not say.
    pub(super) module: String,
}

impl BuildInfo {
    /// `None` when the section is not what it has to be.
    pub(super) fn parse(section: &[u8]) -> Option<Self> {
        let flags = section.strip_prefix(MAGIC).and(section.get(FLAGS))?;
        if flags & INLINE == 0 {
            return None;
        }
        let mut rest = section.get(HEADER..)?;
        let version = str::from_utf8(text(&mut rest)?).ok()?;
        let modules = text(&mut rest).unwrap_or_default();
        Some(Self {
            version: version.to_owned(),
            module: main_module(modules).unwrap_or_default().to_owned(),
        })
    }
}

/// A line `mod`, path, version, sum.
fn main_module(modules: &[u8]) -> Option<&str> {
    let lines = modules.get(SENTINEL..modules.len().checked_sub(SENTINEL)?)?;
    let lines = str::from_utf8(lines).ok()?;
    lines
        .lines()
        .find_map(|line| line.strip_prefix("mod\t"))?
        .split('\t')
        .next()
}

/// Its length, as a varint, and itself.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for shift in (0..28).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (text, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(version: &str, modules: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, INLINE]);
        bytes.resize(HEADER, 0);
        for text in [
            version.to_owned(),
            format!("{0}{modules}{0}", "s".repeat(SENTINEL)),
        ] {
            bytes.push(u8::try_from(text.len()).expect("short"));
            bytes.extend(text.bytes());
        }
        bytes
    }

    #[test]
    fn version_and_module() {
        let whole = section(
            "go1.22.10",
            "path\tx\nmod\texample.com/shop\t(devel)\t\ndep\ta\tv1\n",
        );
        let info = BuildInfo::parse(&whole).expect("whole");
        assert_eq!(
            (info.version.as_str(), info.module.as_str()),
            ("go1.22.10", "example.com/shop")
        );
        assert_eq!(
            BuildInfo::parse(&section("go1.19", "")).expect("whole").module,
            ""
        );
    }

    #[test]
    fn broken_sections() {
        let whole = section("go1.22.10", "");
        assert_eq!(BuildInfo::parse(&whole[..HEADER + 5]), None, "cut");
        assert_eq!(BuildInfo::parse(b""), None);
        let mut wrong_magic = whole.clone();
        wrong_magic[2] = b'g';
        assert_eq!(BuildInfo::parse(&wrong_magic), None);
        let mut pointers = whole;
        pointers[FLAGS] = 0;
        assert_eq!(BuildInfo::parse(&pointers), None, "before Go 1.18");
    }

    proptest! {
        #[test]
        fn nonsense_does_not_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = section("", "");
            bytes.truncate(HEADER);
            bytes.extend(tail);
            let _ = BuildInfo::parse(&bytes);
        }
    }
}
