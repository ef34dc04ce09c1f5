//! Memory of a process that goes on running, as parsers of a runtime's data see it. What is read belongs to whoever is
//! watched: it may change between two reads, and may be broken on purpose.

use std::io;

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
}

/// Memory that is made up, for tests.
#[cfg(test)]
pub(crate) mod made_up {
    use std::{collections::BTreeMap, io};

    use super::TargetMemory;

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
}
