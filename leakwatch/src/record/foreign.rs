//! What a file is that is no recording: the first bytes tell.

use std::{fmt, io::Read as _};

use flate2::read::GzDecoder;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// There is nothing in it.
    Empty,
    /// A compressed profile.
    Pprof,
    /// Something else that is compressed.
    Gzip,
    /// The same.
    Zstd,
    /// A program or library.
    Elf,
    /// A document.
    Json,
    /// Something to be read.
    Text,
    /// None of these.
    Unknown,
}

impl Looks {
    /// By the beginning of a file.
    pub fn of(beginning: &[u8]) -> Self {
        match beginning {
            [] => Self::Empty,
            [0x1f, 0x8b, ..] => {
                let mut first = [0; 1];
                // A profile begins with its sample types: field 1 of its message.
                let is_profile = GzDecoder::new(beginning).read_exact(&mut first).is_ok() && first == [0x0a];
                if is_profile { Self::Pprof } else { Self::Gzip }
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x7f, b'E', b'L', b'F', ..] => Self::Elf,
            text if is_text(text) => match text.trim_ascii_start().first() {
                Some(b'{' | b'[') => Self::Json,
                _ => Self::Text,
            },
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::Pprof => "a pprof profile, which `leakwatch diff` reads",
            Self::Gzip => "a gzip file",
            Self::Zstd => "a bare zstd file",
            Self::Elf => "an ELF binary",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Unknown => "something unknown",
        })
    }
}

fn is_text(beginning: &[u8]) -> bool {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // It may end inside a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::Looks;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn common_files_are_told_apart() {
        for (bytes, looks) in [
            (&b""[..], Looks::Empty),
            (b"\x7fELF\x02\x01\x01", Looks::Elf),
            (b"\x28\xb5\x2f\xfd\x04", Looks::Zstd),
            (b" {\"a\": 1}", Looks::Json),
            (b"time,pid\n1,2\n", Looks::Text),
            ("gr\u{f6}\u{df}e".as_bytes(), Looks::Text),
            (b"caf\xc3", Looks::Text),
            (b"\x00\x01\x02", Looks::Unknown),
            (b"\xff\xfe", Looks::Unknown),
            (&gzip(b"\x0a\x04abcd"), Looks::Pprof),
            (&gzip(b"hello"), Looks::Gzip),
            (b"\x1f\x8b\x08", Looks::Gzip),
        ] {
            assert_eq!(Looks::of(bytes), looks, "{bytes:?}");
        }
    }
}
