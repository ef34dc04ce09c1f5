//! Names, files and lines from the table that Go keeps for its own tracebacks: it is there in every Go binary, stripped or
//! not. Layout: `moduledata`, `pcHeader` and `_func` in `src/runtime/symtab.go` and `runtime2.go` of Go 1.18 and later.

mod inlined;

use object::{LittleEndian, read::elf::SectionHeader as _};

use self::inlined::Trees;
use super::{
    demangle::shown,
    elf_file::{ElfFile, Section},
    reason::Reason,
};
use crate::model::stack::Function;

/// Longest table, bytes. Kubernetes' kubelet has 30 MB.
const MAX_TABLE: usize = 128 << 20;
/// `pcHeader.magic` of Go 1.18 and 1.19.
const GO_1_18: u32 = 0xffff_fff0;
/// `pcHeader.magic` since Go 1.20.
const GO_1_20: u32 = 0xffff_fff1;
/// Where it is when Go's own linker made the file; the second one in position-independent files.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Where a C linker puts it in position-independent files before Go 1.26, with other things.
const SHARED_SECTION: &str = ".data.rel.ro";
/// Since Go 1.26 the module data has its own section.
const MODULE_DATA: &str = ".go.module";
/// Bytes from the start of the module data to `text`: a pointer, six slices, `findfunctab`, `minpc`, `maxpc`.
const TEXT_IN_MODULE_DATA: usize = (1 + 6 * 3 + 3) * 8;
/// More words than the module data of any version has.
const MODULE_WORDS: usize = 8192;
/// `PCDATA_InlTreeIndex` and `FUNCDATA_InlTree`.
const INLINED_CALL: u32 = 2;
const INLINED_CALLS: u32 = 3;
/// Most calls that are inlined into each other.
const MAX_INLINED: usize = 64;
/// Most steps through one table of line numbers. A function of 100 KB of code has some 30,000.
const MAX_STEPS: usize = 1 << 18;

const ORDER: LittleEndian = LittleEndian;

/// The table of one binary.
#[derive(Debug)]
pub(crate) struct GoTable {
    bytes: Vec<u8>,
    /// Address of the first function.
    text_start: u64,
    /// Smallest size of an instruction.
    quantum: u64,
    functions: usize,
    function_names: usize,
    compilation_units: usize,
    files: usize,
    /// Tables that map code addresses to values.
    values: usize,
    /// Function table; descriptions of functions are found relative to it.
    function_table: usize,
    /// Bytes of a description up to its lists of tables.
    description: usize,
    trees: Option<Trees>,
}

impl GoTable {
    /// `None` in a file that is not Go's; an error for one whose table cannot be read.
    pub(crate) fn read(elf: &ElfFile) -> Result<Option<Self>, Reason> {
        if elf.section(".go.buildinfo").is_none() {
            return Ok(None);
        }
        let own = SECTIONS.iter().find_map(|name| elf.section(name));
        let (address, bytes) = if let Some(section) = own {
            (section.sh_addr(ORDER), elf.data(section, MAX_TABLE)?)
        } else if let Some(section) = elf.section(SHARED_SECTION) {
            let mut bytes = elf.data(section, MAX_TABLE)?;
            let Some(at) = find_header(&bytes) else {
                return Ok(None);
            };
            (section.sh_addr(ORDER) + at as u64, bytes.split_off(at))
        } else {
            return Ok(None);
        };
        let stated = Self::parse(bytes).ok_or(Reason::BrokenElf)?;
        // Zero since Go 1.26. `.text` begins with C's start-up code when a C linker made the file.
        let text_start = match stated.text_start {
            0 => text_of_module(elf, address).ok_or(Reason::NoSymbols)?,
            start => start,
        };
        Ok(Some(Self {
            text_start,
            trees: Trees::read(elf, &stated.bytes, address),
            ..stated
        }))
    }

    /// Reads the header; `text_start` as it states it.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if !is_header(&bytes) {
            return None;
        }
        let field = |index: usize| usize::try_from(u64_at(&bytes, 8 + index * 8)?).ok();
        Some(Self {
            text_start: u64_at(&bytes, 24)?,
            quantum: u64::from(*bytes.get(6)?),
            functions: field(0)?,
            function_names: field(3)?,
            compilation_units: field(4)?,
            files: field(5)?,
            values: field(6)?,
            function_table: field(7)?,
            // The line where a function begins came with Go 1.20.
            description: if u32_at(&bytes, 0)? == GO_1_18 { 40 } else { 44 },
            trees: None,
            bytes,
        })
    }

    /// The functions at an address as the ELF file states it, the innermost inlined one first; never empty.
    pub(crate) fn find(&self, address: u64) -> Result<Box<[Function]>, Reason> {
        self.functions_at(address).ok_or(Reason::NotCovered)
    }

    fn functions_at(&self, address: u64) -> Option<Box<[Function]>> {
        let offset = u32::try_from(address.checked_sub(self.text_start)?).ok()?;
        let description = self.function_table.checked_add(self.description_of(offset)?)?;
        let word = |index: usize| u32_at(&self.bytes, description.checked_add(index * 4)?);
        let (name, unit) = (word(1)?, word(8)?);
        let (files, lines) = (word(5)?, word(6)?);
        let function = |name: u32, at: u64| {
            Some(Function {
                name: shown(self.text(self.function_names, name)?),
                file: self.value_at(files, at).and_then(|file| self.file(unit, file)),
                line: self.value_at(lines, at).and_then(|line| u32::try_from(line).ok()),
            })
        };
        let mut at = u64::from(offset).checked_sub(word(0)?.into())?;
        let mut functions = Vec::new();
        while let Some(call) = self.inlined_at(description, word(7)?, at)
            && functions.len() < MAX_INLINED
        {
            functions.extend(function(call.name, at));
            at = call.caller.into();
        }
        functions.push(function(name, at)?);
        Some(functions.into())
    }

    /// The innermost call that was inlined at an offset in a function; `tables` is how many tables of values it has.
    fn inlined_at(&self, description: usize, tables: u32, at: u64) -> Option<inlined::InlinedCall> {
        let lists = description.checked_add(self.description)?;
        let listed = |index: u32| u32_at(&self.bytes, lists.checked_add((index as usize).checked_mul(4)?)?);
        let data = u32::from(*self.bytes.get(lists.checked_sub(1)?)?);
        if tables <= INLINED_CALL || data <= INLINED_CALLS {
            return None;
        }
        let (values, tree) = (listed(INLINED_CALL)?, listed(tables.checked_add(INLINED_CALLS)?)?);
        if values == 0 || tree == u32::MAX {
            return None;
        }
        let index = usize::try_from(self.value_at(values, at)?).ok()?;
        self.trees.as_ref()?.call(&self.bytes, tree, index)
    }

    /// Where the description of the function is that covers a code offset. The table is sorted and has one entry more than
    /// there are functions: the end of the last one.
    fn description_of(&self, offset: u32) -> Option<usize> {
        let entry = |index: usize| {
            u32_at(
                &self.bytes,
                self.function_table.checked_add(index.checked_mul(8)?)?,
            )
        };
        let (mut low, mut high) = (0, self.functions);
        if offset < entry(low)? || offset >= entry(high)? {
            return None;
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if entry(middle)? <= offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        let at = self
            .function_table
            .checked_add(low.checked_mul(8)?)?
            .checked_add(4)?;
        Some(u32_at(&self.bytes, at)? as usize)
    }

    /// The value that a table of (value, code offset) differences has at an offset from the start of the function.
    fn value_at(&self, table: u32, offset: u64) -> Option<i64> {
        let mut rest = self.bytes.get(self.values.checked_add(table as usize)?..)?;
        let (mut value, mut end) = (-1_i64, 0_u64);
        for step in 0..MAX_STEPS {
            let difference = varint(&mut rest)?;
            if difference == 0 && step > 0 {
                return None;
            }
            // Zigzag: the sign is the lowest bit.
            let magnitude = i64::from(difference >> 1);
            value += if difference & 1 == 0 {
                magnitude
            } else {
                !magnitude
            };
            end += u64::from(varint(&mut rest)?) * self.quantum;
            if offset < end {
                return Some(value);
            }
        }
        None
    }

    fn file(&self, unit: u32, file: i64) -> Option<String> {
        let index = usize::try_from(i64::from(unit).checked_add(file)?).ok()?;
        let at = u32_at(
            &self.bytes,
            self.compilation_units.checked_add(index.checked_mul(4)?)?,
        )?;
        self.text(self.files, at).map(shown)
    }

    /// Whether a function of that name is in the program, inlined ones included.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        let names = self.bytes.get(self.function_names..self.compilation_units);
        let mut names = names.unwrap_or_default().split(|&byte| byte == 0);
        names.any(|other| other == name.as_bytes())
    }

    /// The first source file whose path ends so.
    pub(crate) fn file_that_ends(&self, end: &str) -> Option<&str> {
        let files = self.bytes.get(self.files..self.values)?;
        let file = files
            .split(|&byte| byte == 0)
            .find(|file| file.ends_with(end.as_bytes()))?;
        str::from_utf8(file).ok()
    }

    fn text(&self, table: usize, offset: u32) -> Option<&str> {
        let rest = self.bytes.get(table.checked_add(offset as usize)?..)?;
        let rest = &rest[..rest.len().min(MAX_TEXT)];
        str::from_utf8(&rest[..rest.iter().position(|&byte| byte == 0)?]).ok()
    }

    /// Bytes of the table, and of what belongs to it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.len() as u64 + self.trees.as_ref().map_or(0, Trees::bytes)
    }
}

/// Longest name or path, bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Magic, two zero bytes, size of an instruction (1 on x86-64, 4 on aarch64), size of a pointer.
fn is_header(bytes: &[u8]) -> bool {
    matches!(u32_at(bytes, 0), Some(GO_1_18 | GO_1_20)) && matches!(bytes.get(4..8), Some([0, 0, 1 | 4, 8]))
}

fn find_header(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).step_by(8).find(|&at| is_header(&bytes[at..]))
}

/// `moduledata.text`, when the module data is that of the table at this address and `text` is inside the code.
fn text_of_module(elf: &ElfFile, table: u64) -> Option<u64> {
    let module = elf.data(elf.section(MODULE_DATA)?, MAX_TEXT).ok()?;
    let text = u64_at(&module, TEXT_IN_MODULE_DATA)?;
    let code = elf.section(".text")?;
    let is_inside = |code: &Section| {
        text.checked_sub(code.sh_addr(ORDER))
            .is_some_and(|offset| offset < code.sh_size(ORDER))
    };
    (u64_at(&module, 0)? == table && is_inside(code)).then_some(text)
}

fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u64::from_le_bytes(*word))
}
