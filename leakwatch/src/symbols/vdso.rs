//! Names in the vDSO. The kernel maps one image into every process, so ours tells.

use std::{fs, fs::File, os::unix::fs::FileExt as _};

use object::{Object as _, ObjectSymbol as _, SymbolKind, read::elf::ElfFile64};

use super::{demangle::name, reason::Reason};
use crate::model::stack::Function;

/// Longest image, bytes. x86-64's is 8 KiB.
const MAX_IMAGE: u64 = 1 << 20;

/// The exported functions of our vDSO.
#[derive(Debug)]
pub(super) struct Vdso {
    build_id: Option<Vec<u8>>,
    /// First address, size, name.
    functions: Vec<(u64, u64, String)>,
}

impl Vdso {
    /// Reads our own memory; `None` where the kernel was told to do without a vDSO.
    pub(super) fn own() -> Option<Self> {
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
        let (first, end) = line.split_once(' ')?.0.split_once('-')?;
        let first = u64::from_str_radix(first, 16).ok()?;
        let size = u64::from_str_radix(end, 16)
            .ok()?
            .checked_sub(first)?
            .min(MAX_IMAGE);
        let mut image = vec![0; usize::try_from(size).ok()?];
        let memory = File::open("/proc/self/mem").ok()?;
        memory.read_exact_at(&mut image, first).ok()?;
        Self::parse(&image)
    }

    fn parse(image: &[u8]) -> Option<Self> {
        let elf = ElfFile64::<object::Endianness>::parse(image).ok()?;
        let functions = elf
            .dynamic_symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), name(symbol.name().ok()?))));
        Some(Self {
            build_id: elf.build_id().ok().flatten().map(<[u8]>::to_vec),
            functions: functions.collect(),
        })
    }

    /// The function at an address of a process's vDSO.
    pub(super) fn find(&self, build_id: Option<&[u8]>, address: u64) -> Result<Function, Reason> {
        if build_id.is_some() && build_id != self.build_id.as_deref() {
            return Err(Reason::OtherVdso);
        }
        let covers = |(first, size, _): &&(u64, u64, String)| {
            address.checked_sub(*first).is_some_and(|offset| offset < *size)
        };
        // The same code has two names: `__vdso_time` and its weak alias `time`. The longer one says where it is.
        let functions = self.functions.iter().filter(covers);
        let (_, _, name) = functions
            .max_by_key(|(_, _, name)| name.len())
            .ok_or(Reason::NotCovered)?;
        Ok(Function {
            name: name.clone(),
            file: None,
            line: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Vdso};

    #[test]
    fn our_own_has_the_clock() {
        let vdso = Vdso::own().unwrap();
        let (address, _, _) = vdso
            .functions
            .iter()
            .find(|(_, _, name)| name.ends_with("clock_gettime"))
            .unwrap();
        let clock = vdso.find(vdso.build_id.as_deref(), address + 1).unwrap();
        assert!(clock.name.ends_with("clock_gettime"), "{clock:?}");
        assert_eq!(vdso.find(Some(b"other"), *address), Err(Reason::OtherVdso));
        assert_eq!(vdso.find(None, u64::MAX), Err(Reason::NotCovered));
    }
}
