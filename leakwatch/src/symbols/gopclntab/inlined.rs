//! Calls that Go's compiler inlined: `FUNCDATA_InlTree` of a function, `inlinedCall` in `src/runtime/symtabinl.go` (in
//! `symtab.go` before Go 1.21).

use object::read::elf::SectionHeader as _;

use super::{GO_1_18, MAX_TABLE, MODULE_DATA, MODULE_WORDS, ORDER, TEXT_IN_MODULE_DATA, u32_at, u64_at};
use crate::symbols::elf_file::{ElfFile, Section};

/// Where the module data is before Go 1.26.
const VARIABLES: &str = ".noptrdata";
/// Where the trees are before Go 1.26; since then they are in the table itself.
const READ_ONLY: &str = ".rodata";
/// Words from the start of the module data to `gofunc`, to which trees are relative: Go 1.18 and 1.19, Go 1.20 to 1.26,
/// Go 1.27.
const BASES: [usize; 3] = [38, 40, 43];

/// All trees of one program.
#[derive(Debug)]
pub(super) struct Trees {
    /// What holds them, where that is not the table of functions.
    own: Option<Vec<u8>>,
    /// Where they begin in it.
    base: usize,
    /// Bytes of a call, and where in it are its name and the place that it was inlined into.
    call: usize,
    name: usize,
    caller: usize,
}

/// A call that was inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InlinedCall {
    /// Name of what was called, as an offset into the names.
    pub(super) name: u32,
    /// Where it was called, as an offset from the start of the function around it.
    pub(super) caller: u32,
}

impl Trees {
    /// `None` when they are not found: in files that are relocated when they are loaded.
    pub(super) fn read(elf: &ElfFile, table: &[u8], address: u64) -> Option<Self> {
        let is_old = u32_at(table, 0)? == GO_1_18;
        let (call, name, caller) = if is_old { (20, 12, 16) } else { (16, 4, 8) };
        let trees = |own, base| Self {
            own,
            base,
            call,
            name,
            caller,
        };
        if let Some(module) = elf.section(MODULE_DATA) {
            let module = elf.data(module, MODULE_WORDS * 8).ok()?;
            let mut bases = BASES[1..].iter().filter_map(|base| u64_at(&module, base * 8));
            // In the wrong version a word there is an offset, or the size of something.
            return bases.find_map(|base| {
                let base = usize::try_from(base.checked_sub(address)?).ok()?;
                (u64_at(&module, 0)? == address && base < table.len()).then(|| trees(None, base))
            });
        }
        let variables = elf.data(elf.section(VARIABLES)?, MAX_TABLE).ok()?;
        let (code, constants) = (elf.section(".text")?, elf.section(READ_ONLY)?);
        let base_at = BASES[usize::from(!is_old)] * 8;
        let base = (0..variables.len()).step_by(8).find_map(|at| {
            let module = variables.get(at..)?;
            let is_it = u64_at(module, 0)? == address
                && offset_in(code, u64_at(module, TEXT_IN_MODULE_DATA)?).is_some();
            is_it.then(|| offset_in(constants, u64_at(module, base_at)?))?
        })?;
        let own = elf.data(constants, MAX_TABLE).ok()?.split_off(base);
        Some(trees(Some(own), 0))
    }

    /// The call of that number in the tree at an offset.
    pub(super) fn call(&self, table: &[u8], tree: u32, index: usize) -> Option<InlinedCall> {
        let bytes = self.own.as_deref().unwrap_or(table);
        let at = self.base.checked_add(tree as usize)?;
        let at = at.checked_add(index.checked_mul(self.call)?)?;
        Some(InlinedCall {
            name: u32_at(bytes, at.checked_add(self.name)?)?,
            caller: u32_at(bytes, at.checked_add(self.caller)?)?,
        })
    }

    /// Bytes that are held beside the table.
    pub(super) fn bytes(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.len() as u64)
    }
}

fn offset_in(section: &Section, address: u64) -> Option<usize> {
    let offset = address.checked_sub(section.sh_addr(ORDER))?;
    (offset < section.sh_size(ORDER)).then(|| usize::try_from(offset).ok())?
}
