//! Whether a file exports a symbol, without reading its tables: they are megabytes, and every library is asked.

use object::{
    LittleEndian,
    elf::{SHN_UNDEF, Sym64},
};

use super::elf::ReadAt;

/// Most entries of one chain; a sane table has a handful.
const MAX_CHAIN: u32 = 256;

/// Where a file keeps what it exports: offsets of `.gnu.hash`, `.dynsym` and `.dynstr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exports {
    pub(super) hashes: u64,
    pub(super) symbols: u64,
    pub(super) names: u64,
}

impl Exports {
    /// Looks it up as the dynamic loader does (`.gnu.hash`: a Bloom filter, buckets, chains).
    pub(super) fn has(&self, file: &(impl ReadAt + ?Sized), name: &str) -> bool {
        self.find(file, name).is_some()
    }

    fn find(&self, file: &(impl ReadAt + ?Sized), name: &str) -> Option<()> {
        let u32_at = |offset: u64| {
            let mut bytes = [0; 4];
            file.read_exact_at(offset, &mut bytes).ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let at = |index: u32| self.hashes.checked_add(u64::from(index) * 4);
        let (buckets, first) = (u32_at(self.hashes)?, u32_at(at(1)?)?);
        let (filter_words, shift) = (u32_at(at(2)?)?, u32_at(at(3)?)?);
        let hash = hash(name);
        let word = (hash / 64).checked_rem(filter_words)?;
        let mut filter = [0; 8];
        file.read_exact_at(at(4)?.checked_add(u64::from(word) * 8)?, &mut filter)
            .ok()?;
        let filter = u64::from_le_bytes(filter);
        if filter >> (hash % 64) & filter >> (hash.checked_shr(shift)? % 64) & 1 == 0 {
            return None;
        }
        let all_buckets = at(4)?.checked_add(u64::from(filter_words) * 8)?;
        let bucket = u64::from(hash.checked_rem(buckets)?);
        let mut symbol = u32_at(all_buckets.checked_add(bucket * 4)?)?;
        let chains = all_buckets.checked_add(u64::from(buckets) * 4)?;
        for _ in 0..MAX_CHAIN {
            let entry = u32_at(chains.checked_add(u64::from(symbol.checked_sub(first)?) * 4)?)?;
            if entry | 1 == hash | 1 && self.is_it(file, symbol, name).is_some() {
                return Some(());
            }
            if entry & 1 != 0 {
                return None;
            }
            symbol = symbol.checked_add(1)?;
        }
        None
    }

    fn is_it(&self, file: &(impl ReadAt + ?Sized), symbol: u32, name: &str) -> Option<()> {
        let size = size_of::<Sym64<LittleEndian>>();
        let mut bytes = [0; size_of::<Sym64<LittleEndian>>()];
        let at = self.symbols.checked_add(u64::from(symbol) * size as u64)?;
        file.read_exact_at(at, &mut bytes).ok()?;
        // st_name and st_shndx.
        let name_at = u32::from_le_bytes(*bytes.first_chunk()?);
        let section = u16::from_le_bytes(*bytes.get(6..)?.first_chunk()?);
        let mut there = vec![0; name.len() + 1];
        let at = self.names.checked_add(u64::from(name_at))?;
        file.read_exact_at(at, &mut there).ok()?;
        let is_name = there.split_last() == Some((&0, name.as_bytes()));
        (is_name && section != SHN_UNDEF).then_some(())
    }
}

/// The GNU hash of a symbol's name.
fn hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Exports, hash};
    use crate::unwind::elf::Elf;

    #[test]
    fn what_libc_exports_is_found() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
        let libc = maps
            .lines()
            .find(|line| line.contains("/libc.so"))
            .expect("mapped");
        let path = libc.split_ascii_whitespace().last().expect("has a path");
        let file = std::fs::read(path).expect("readable");
        let exports = Elf::read(&*file)
            .and_then(|elf| elf.exports)
            .expect("it has a table");
        for name in ["malloc", "read", "pthread_create"] {
            assert!(exports.has(&*file, name), "{name}");
        }
        for name in ["", "no_such_function", "v8dbg_SmiTag"] {
            assert!(!exports.has(&*file, name), "{name}");
        }
    }

    #[test]
    fn the_hash_is_the_loaders() {
        // The examples of the ELF specification's GNU supplement.
        assert_eq!(
            [hash(""), hash("printf"), hash("exit")],
            [0x1505, 0x156b_2bb8, 0x7c96_7e3f]
        );
    }

    proptest! {
        #[test]
        fn any_tables_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256), at in prop::array::uniform3(0..300_u64)) {
            let [hashes, symbols, names] = at;
            let _ = Exports { hashes, symbols, names }.has(&*bytes, "v8dbg_SmiTag");
        }
    }
}
