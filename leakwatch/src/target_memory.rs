//! Memory of a process that goes on running, as parsers of a runtime's data see it. What is read belongs to whoever is
//! watched: it may change between two reads, and may be broken on purpose.

use std::io;

/// Longest text that is read, bytes.
pub(crate) const MAX_TEXT: usize = 512;
/// Bytes of a text that are read together: it may end just before what is not mapped.
const TEXT_PIECE: u64 = 64;

/// Reads the memory of one process.
pub(crate) trait TargetMemory {
    /// Fills `buffer` with what lies at `address`.
    ///
    /// # Errors
    /// When it is not all mapped, or the process is gone.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// So many words that lie there one after the other.
    ///
    /// # Errors
    /// As of [`Self::read`].
    fn words<const N: usize>(&mut self, address: u64) -> io::Result<[u64; N]> {
        let mut words = [0; N];
        self.read(address, bytemuck::cast_slice_mut(&mut words))?;
        Ok(words)
    }

    /// The word that lies there.
    ///
    /// # Errors
    /// As of [`Self::read`].
    fn word(&mut self, address: u64) -> io::Result<u64> {
        self.words::<1>(address).map(|[word]| word)
    }

    /// The text there, up to a NUL byte; at most [`MAX_TEXT`] bytes of it.
    ///
    /// # Errors
    /// As of [`Self::read`].
    fn text(&mut self, address: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < MAX_TEXT {
            let length = TEXT_PIECE - at % TEXT_PIECE;
            let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
            self.read(at, &mut piece)?;
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&piece[..end]);
                break;
            }
            text.extend(piece);
            at = at.checked_add(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        text.truncate(MAX_TEXT);
        Ok(text)
    }
}

/// Memory of which it is known what is resident: what is not would become it by being read.
pub(crate) trait ResidentMemory: TargetMemory {
    /// Reads the first resident pages of `start..end` that follow one another into `bytes`, not all of them if they are many,
    /// and says where they are; `None` when no page there is resident.
    ///
    /// # Errors
    /// When it cannot be told what is resident.
    fn next_resident(&mut self, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<Option<u64>>;
}

/// Memory that is nothing but some bytes, for fuzzers.
#[cfg(fuzzing)]
pub(crate) mod flat {
    use std::io;

    use super::{ResidentMemory, TargetMemory};

    const PAGE: u64 = 4096;

    /// These bytes from `start` on; nothing else is mapped.
    pub(crate) struct Flat<'a> {
        pub(crate) start: u64,
        pub(crate) bytes: &'a [u8],
    }

    impl TargetMemory for Flat<'_> {
        fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
            let from = address
                .checked_sub(self.start)
                .and_then(|from| usize::try_from(from).ok());
            let found = from.and_then(|from| self.bytes.get(from..)?.get(..buffer.len()));
            buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    impl ResidentMemory for Flat<'_> {
        /// All of it is resident.
        fn next_resident(&mut self, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
            let from = (start - start % PAGE).max(self.start);
            let offset = usize::try_from(from - self.start).unwrap_or(usize::MAX);
            let found = self
                .bytes
                .get(offset..)
                .filter(|found| !found.is_empty() && from < end);
            bytes.clear();
            bytes.extend(found.unwrap_or_default());
            Ok(found.map(|_| from))
        }
    }
}

/// Memory that is made up, for tests.
#[cfg(test)]
pub(crate) mod made_up {
    use std::{collections::BTreeMap, io};

    use super::{ResidentMemory, TargetMemory};

    /// Bytes by address; nothing else is mapped.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct MadeUp(BTreeMap<u64, u8>);

    impl MadeUp {
        pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
            self.0.extend((address..).zip(bytes.iter().copied()));
        }

        pub(crate) fn put_words(&mut self, address: u64, words: &[u64]) {
            self.put(address, bytemuck::cast_slice(words));
        }

        /// Every address that is mapped.
        pub(crate) fn addresses(&self) -> Vec<u64> {
            self.0.keys().copied().collect()
        }
    }

    impl TargetMemory for MadeUp {
        fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
            for (offset, byte) in buffer.iter_mut().enumerate() {
                let at = address.checked_add(offset as u64);
                let found = at.and_then(|at| self.0.get(&at));
                *byte = *found.ok_or(io::ErrorKind::UnexpectedEof)?;
            }
            Ok(())
        }
    }

    impl ResidentMemory for MadeUp {
        /// What is mapped is resident.
        fn next_resident(&mut self, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
            let from = self.0.range(start..end).next().map(|(&from, _)| from);
            bytes.clear();
            bytes.extend((from.unwrap_or(end)..end).map_while(|at| self.0.get(&at)));
            Ok(from)
        }
    }
}
