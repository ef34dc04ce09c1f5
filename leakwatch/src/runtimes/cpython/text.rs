//! Python's text objects: names of functions and files.

use std::io;

use crate::{model::sanitize, runtimes::memory::Memory};

/// Longest name that is read, characters.
const MAX_CHARACTERS: usize = 512;

/// `PyASCIIObject.length` and `.state`, the same in all versions.
const LENGTH: u64 = 16;
const STATE: u64 = 32;
/// Of a text with other characters, after `PyASCIIObject`: `utf8_length` and `utf8`; until 3.11 `wstr_length` too, which the
/// size of `PyASCIIObject` differs by as well.
const UTF8: [u64; 2] = [16, 24];

/// Bits of `state` (Include/cpython/unicodeobject.h): the size of a character, whether the characters follow the object, and
/// whether they are all ASCII.
const KIND: u32 = 7 << 2;
const COMPACT: u32 = 1 << 5;
const ASCII: u32 = 1 << 6;

/// The text in a `PyUnicodeObject`, control characters replaced; at most [`MAX_CHARACTERS`] of it. `ascii_size` is the size
/// of a `PyASCIIObject`.
///
/// # Errors
/// When it is not there, or is no text whose characters are where they belong.
pub(super) fn read(memory: &mut Memory, object: u64, ascii_size: u64) -> io::Result<String> {
    let length: u64 = memory.value(object.wrapping_add(LENGTH))?;
    let state: u32 = memory.value(object.wrapping_add(STATE))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_CHARACTERS);
    if state & COMPACT == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let width = (state & KIND) >> 2;
    let start = if state & ASCII != 0 {
        ascii_size
    } else {
        // Until 3.11 there is one word more in both.
        ascii_size + UTF8[usize::from(ascii_size > 40)]
    };
    let size = match width {
        1 | 2 | 4 => width as usize,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut bytes = vec![0; length * size];
    memory.read(object.wrapping_add(start), &mut bytes)?;
    let text: String = bytes
        .chunks_exact(size)
        .map(|character| {
            let code = character
                .iter()
                .rev()
                .fold(0, |code, &byte| code << 8 | u32::from(byte));
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        })
        .collect();
    Ok(sanitize::text(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text object as 3.12 lays it out.
    fn object(length: u64, state: u32, start: usize, characters: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; start];
        bytes[16..24].copy_from_slice(&length.to_ne_bytes());
        bytes[32..36].copy_from_slice(&state.to_ne_bytes());
        bytes.extend(characters);
        bytes
    }

    fn read_own(object: &[u8]) -> io::Result<String> {
        read(
            &mut Memory::of_process(std::process::id()),
            object.as_ptr() as u64,
            40,
        )
    }

    #[test]
    fn of_every_width() {
        let ascii = object(3, COMPACT | ASCII | 1 << 2, 40, b"abc");
        assert_eq!(read_own(&ascii).expect("text"), "abc");
        let latin = object(2, COMPACT | 1 << 2, 56, &[0xe9, 0x1b]);
        assert_eq!(read_own(&latin).expect("text"), "é\u{fffd}");
        let two: Vec<u8> = [0x65e5_u16, 0xd800]
            .iter()
            .flat_map(|c| c.to_ne_bytes())
            .collect();
        assert_eq!(
            read_own(&object(2, COMPACT | 2 << 2, 56, &two)).expect("text"),
            "日\u{fffd}"
        );
        let four = 0x1f40d_u32.to_ne_bytes();
        assert_eq!(
            read_own(&object(1, COMPACT | 4 << 2, 56, &four)).expect("text"),
            "🐍"
        );
    }

    #[test]
    fn what_is_no_text() {
        assert!(
            read_own(&object(3, ASCII | 1 << 2, 40, b"abc")).is_err(),
            "not compact"
        );
        assert!(
            read_own(&object(3, COMPACT | 3 << 2, 56, b"abcdefghi")).is_err(),
            "no such width"
        );
        let long = object(1 << 40, COMPACT | ASCII | 1 << 2, 40, &[b'x'; MAX_CHARACTERS]);
        assert_eq!(read_own(&long).expect("its beginning").len(), MAX_CHARACTERS);
        assert!(read(&mut Memory::of_process(std::process::id()), 8, 40).is_err());
    }
}
