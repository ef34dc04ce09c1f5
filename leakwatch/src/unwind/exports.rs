//! Whether a file exports a symbol, without reading its tables: they are megabytes, and every library is asked.

use object::{
    LittleEndian,
    elf::{SHN_UNDEF, Sym64},
};

use super::elf::ReadAt;

/// Most entries of one chain; a sane table has a handful.
const MAX_CHAIN: u32 = 256;

/// Where a file keeps what it exports: offsets of a table of hashes, `.dynsym` and `.dynstr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exports {
    pub(super) hashes: Hashes,
    pub(super) symbols: u64,
    pub(super) names: u64,
}

/// The table in which names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hashes {
    /// `.gnu.hash`: a Bloom filter, buckets, chains.
    Gnu(u64),
    /// `.hash`: buckets and chains, all that older linkers wrote.
    SystemV(u64),
}

impl Exports {
    /// Looks it up as the dynamic loader does.
    pub(super) fn has(&self, file: &(impl ReadAt + ?Sized), name: &str) -> bool {
        let found = match self.hashes {
            Hashes::Gnu(hashes) => self.gnu(hashes, file, name),
            Hashes::SystemV(hashes) => self.system_v(hashes, file, name),
        };
        found.is_some()
    }

    fn system_v(&self, hashes: u64, file: &(impl ReadAt + ?Sized), name: &str) -> Option<()> {
        let word = |index: u64| u32_at(file, hashes.checked_add(index * 4)?);
        let buckets = word(0)?;
        let bucket = system_v_hash(name).checked_rem(buckets)?;
        let mut symbol = word(2 + u64::from(bucket))?;
        for _ in 0..MAX_CHAIN {
            // Symbol 0 is none, and ends the chain.
            if symbol == 0 {
                return None;
            }
            if self.is_it(file, symbol, name).is_some() {
                return Some(());
            }
            symbol = word(2 + u64::from(buckets) + u64::from(symbol))?;
        }
        None
    }

    fn gnu(&self, hashes: u64, file: &(impl ReadAt + ?Sized), name: &str) -> Option<()> {
        let u32_at = |offset: u64| u32_at(file, offset);
        let at = |index: u32| hashes.checked_add(u64::from(index) * 4);
        let (buckets, first) = (u32_at(hashes)?, u32_at(at(1)?)?);
        let (filter_words, shift) = (u32_at(at(2)?)?, u32_at(at(3)?)?);
        let hash = gnu_hash(name);
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

fn u32_at(file: &(impl ReadAt + ?Sized), offset: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(offset, &mut bytes).ok()?;
    Some(u32::from_le_bytes(bytes))
}

/// The hash of a symbol's name in `.hash` (System V ABI, 5.3).
fn system_v_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let top = hash & 0xf000_0000;
        (hash ^ top >> 24) & !top
    })
}

/// The GNU hash of a symbol's name.
fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Exports, Hashes, gnu_hash, system_v_hash};
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
            [gnu_hash(""), gnu_hash("printf"), gnu_hash("exit")],
            [0x1505, 0x156b_2bb8, 0x7c96_7e3f]
        );
        assert_eq!(
            [system_v_hash(""), system_v_hash("printf"), system_v_hash("exit")],
            [0, 0x0779_05a6, 0x0006_cf04]
        );
    }

    #[test]
    fn a_table_of_an_older_linker() {
        // One bucket with symbols 2 and 1; the names of symbols are at 0 and 5 of the table of names.
        let words = [1_u32, 3, 2, 0, 0, 1];
        let mut file: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let symbols = file.len() as u64;
        for name in [0_u32, 0, 5] {
            let mut symbol = [0; 24];
            symbol[..4].copy_from_slice(&name.to_le_bytes());
            symbol[6] = 1;
            file.extend(symbol);
        }
        let names = file.len() as u64;
        file.extend(b"open\0close\0");
        let exports = Exports {
            hashes: Hashes::SystemV(0),
            symbols,
            names,
        };
        for (name, is_there) in [("open", true), ("close", true), ("read", false)] {
            assert_eq!(exports.has(&*file, name), is_there, "{name}");
        }
        // A chain that comes back to itself ends.
        file[20] = 2;
        assert!(!exports.has(&*file, "read"));
    }

    proptest! {
        #[test]
        fn any_tables_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256), at in prop::array::uniform3(0..300_u64)) {
            let [hashes, symbols, names] = at;
            for hashes in [Hashes::Gnu(hashes), Hashes::SystemV(hashes)] {
                let _ = Exports { hashes, symbols, names }.has(&*bytes, "v8dbg_SmiTag");
            }
        }
    }
}
