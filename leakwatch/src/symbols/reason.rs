//! Why an address has no name.

use std::io;

use rustix::io::Errno;

/// Why an address has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ProcessGone,
    FileGone,
    NotReadable,
    FileReplaced,
    NotElf,
    BrokenElf,
    TooLarge,
    NoSymbols,
    NotCovered,
    NoPerfMap,
    NotInPerfMap,
    OtherVdso,
}

impl Reason {
    /// What is shown.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::ProcessGone => "process gone",
            Self::FileGone => "file gone",
            Self::NotReadable => "file not readable",
            Self::FileReplaced => "another file has taken its place",
            Self::NotElf => "not an ELF file",
            Self::BrokenElf => "broken ELF file",
            Self::TooLarge => "symbols too large",
            Self::NoSymbols => "no symbols",
            Self::NotCovered => "no symbol at this address",
            Self::NoPerfMap => "no symbols for JIT code",
            Self::NotInPerfMap => "JIT code that its map does not list",
            Self::OtherVdso => "another kernel's vDSO",
        }
    }

    /// Whether another process that maps the same file may have a better answer.
    pub(crate) const fn depends_on_the_process(self) -> bool {
        matches!(
            self,
            Self::ProcessGone | Self::FileGone | Self::NotReadable | Self::FileReplaced | Self::NoPerfMap
        )
    }
}

/// Of opening or reading a file.
impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::FileGone,
            // The file is shorter than its headers say, or than it was.
            io::ErrorKind::UnexpectedEof => Self::BrokenElf,
            _ => Self::NotReadable,
        }
    }
}

impl From<Errno> for Reason {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}
