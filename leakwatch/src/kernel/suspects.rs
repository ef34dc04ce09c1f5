//! Processes of which more stacks are wanted.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use leakwatch_common::stack::SUSPECT_WORDS;
use log::warn;

use super::error::KernelError;

/// The map `SUSPECTS`, and what was last written to it.
pub(super) struct Suspects {
    map: Array<MapData, u64>,
    /// Words that are not 0, by index.
    words: BTreeMap<u32, u64>,
}

impl Suspects {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = "SUSPECTS";
        let data = ebpf.take_map(map).ok_or(KernelError::NoMap(map))?;
        Ok(Self {
            map: Array::try_from(data).map_err(|source| KernelError::Map { map, source })?,
            words: BTreeMap::new(),
        })
    }

    /// These and no others. Another process whose number is the same in its low 16 bits is taken along.
    pub(super) fn set(&mut self, tgids: impl Iterator<Item = u32>) {
        let mut words: BTreeMap<u32, u64> = BTreeMap::new();
        for tgid in tgids {
            let bit = tgid % (SUSPECT_WORDS * 64);
            *words.entry(bit / 64).or_default() |= 1 << (bit % 64);
        }
        if words == self.words {
            return;
        }
        for &index in self.words.keys().chain(words.keys()) {
            let word = words.get(&index).copied().unwrap_or(0);
            if let Err(error) = self.map.set(index, word, 0) {
                warn!("no more stacks of suspects: {error}");
            }
        }
        self.words = words;
    }
}
