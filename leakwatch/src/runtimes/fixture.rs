//! Memory laid out as a runtime's, for tests: this process's own.

use super::memory::Memory;

/// Structures that lead to one another. They stay where they are.
#[derive(Default)]
pub(super) struct Fixture {
    structures: Vec<Box<[u64]>>,
}

impl Fixture {
    /// The address of so many bytes, all 0.
    pub(super) fn place(&mut self, size: usize) -> u64 {
        // What is read as a word may end behind the last byte.
        let structure = vec![0; size.div_ceil(8) + 1].into_boxed_slice();
        let address = structure.as_ptr() as u64;
        self.structures.push(structure);
        address
    }

    /// Puts bytes into the structure at `address`.
    ///
    /// # Panics
    /// When they do not fit.
    pub(super) fn set(&mut self, address: u64, offset: usize, bytes: &[u8]) {
        let structure = self
            .structures
            .iter_mut()
            .find(|structure| structure.as_ptr() as u64 == address)
            .expect("it was placed");
        bytemuck::cast_slice_mut::<u64, u8>(structure)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// What reads it.
pub(super) fn own() -> Memory {
    Memory::of_process(std::process::id())
}
