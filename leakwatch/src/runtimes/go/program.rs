//! What is to be known of a program once: its version, its functions, and where its file puts the runtime's variables.

use std::{
    fmt::Write as _,
    ops::Range,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{
    build_info::{self, BuildInfo},
    layout::Layout,
    library::Library,
};
use crate::{
    runtimes::{Unknown, binary::Binary},
    symbols::gopclntab::GoTable,
};

/// Programs that are remembered at the most, and bytes of their tables, unless it is one alone.
const MAX_PROGRAMS: usize = 16;
const MAX_BYTES: u64 = 64 << 20;

/// A program that Go made.
pub(super) struct Program {
    /// As its build information says.
    pub(super) version: Option<String>,
    /// What it takes to read its memory.
    pub(super) map: Result<Map, Unknown>,
}

/// Where things are. Addresses are those in the file.
pub(super) struct Map {
    pub(super) layout: &'static Layout,
    pub(super) table: GoTable,
    pub(super) library: Library,
    pub(super) code: Range<u64>,
    /// Hexadecimal.
    pub(super) build_id: Option<String>,
    /// Whether the linker left the heap profile switched on: it does where something reads it.
    pub(super) has_heap_profile: bool,
    /// `runtime.allgs`; found by [`super::roots`] where there are no symbols, as is the next one.
    pub(super) goroutines: OnceLock<u64>,
    /// `runtime.mbuckets`.
    pub(super) buckets: OnceLock<u64>,
    /// `runtime.MemProfileRate`; like the rest `None` in a stripped file.
    pub(super) profile_rate: Option<u64>,
    /// `runtime.gcController`.
    pub(super) collector: Option<u64>,
    /// `runtime.memstats`.
    pub(super) statistics: Option<u64>,
}

impl Program {
    fn read(binary: &Binary) -> Self {
        let info = binary.section_data(super::BUILD_INFO, build_info::MAX_SIZE);
        let info = info.and_then(|section| BuildInfo::parse(&section));
        let map = info
            .as_ref()
            .ok_or(Unknown::NotKept("its build information cannot be read"))
            .and_then(|info| Map::read(binary, info));
        Self {
            version: info.map(|info| info.version),
            map,
        }
    }

    fn bytes(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.table.bytes())
    }
}

impl Map {
    fn read(binary: &Binary, info: &BuildInfo) -> Result<Self, Unknown> {
        let layout = Layout::of(&info.version)?;
        let table = GoTable::read(binary.elf()).ok().flatten();
        let table = table.ok_or(Unknown::NotKept("its table of functions cannot be read"))?;
        let in_file = |address: u64| address.wrapping_sub(binary.bias());
        let code = binary
            .section(".text")
            .ok_or(Unknown::Layout("it has no section of code"))?;
        let symbol = |name| binary.symbol(name).map(|symbol| in_file(symbol.address));
        let root = |name| symbol(name).map_or_else(OnceLock::new, OnceLock::from);
        let build_id = binary.elf().build_id();
        Ok(Self {
            layout,
            library: Library::of(&table, &info.module),
            code: in_file(code.start)..in_file(code.end),
            build_id: build_id.as_deref().map(hexadecimal),
            // `linksetup` of cmd/link: the first one since Go 1.23.
            has_heap_profile: ["runtime.memProfileInternal", "runtime.MemProfile"]
                .iter()
                .any(|name| table.has_function(name)),
            goroutines: root("runtime.allgs"),
            buckets: root("runtime.mbuckets"),
            profile_rate: symbol("runtime.MemProfileRate"),
            collector: symbol("runtime.gcController"),
            statistics: symbol("runtime.memstats"),
            table,
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Device, inode, size, and time of the last change.
type Identity = (u64, u64, u64, i64, i64);

/// Programs that were read before, the one that was last asked for at the end.
pub(super) struct Programs(Mutex<Vec<(Identity, Arc<Program>)>>);

impl Programs {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The program in that file.
    pub(super) fn of(&self, binary: &Binary) -> Arc<Program> {
        let Ok(file) = binary.elf().metadata() else {
            return Arc::new(Program::read(binary));
        };
        let identity = (
            file.dev(),
            file.ino(),
            file.size(),
            file.mtime(),
            file.mtime_nsec(),
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(other, _)| *other == identity);
        let program = match at {
            Some(at) => known.remove(at).1,
            None => Arc::new(Program::read(binary)),
        };
        known.push((identity, Arc::clone(&program)));
        while known.len() > 1
            && (known.len() > MAX_PROGRAMS
                || known.iter().map(|(_, program)| program.bytes()).sum::<u64>() > MAX_BYTES)
        {
            known.remove(0);
        }
        program
    }
}
