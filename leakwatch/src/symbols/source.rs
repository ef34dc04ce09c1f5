//! Everything that names the code of one ELF file, opened once.

use super::{
    debug_files, elf::ElfSymbols, elf_file::ElfFile, gopclntab::GoTable, mini_debug_info, reason::Reason,
};
use crate::{
    model::stack::{Function, Module},
    target_file::{Found, Root},
};

/// One way to name code.
enum Source {
    /// Symbol tables, with DWARF or without.
    Elf(Box<ElfSymbols>),
    /// Go's own table.
    Go(GoTable),
}

/// The sources of one file, the one that says most first.
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// Opens a module's file and what belongs to it.
    pub(super) fn open(module: &Module) -> Result<Self, Reason> {
        let host = Root::own()?;
        let process = module.seen.and_then(|seen| Root::of_process(seen.pid).ok());
        let elf = open_binary(module, process.as_ref(), &host)?;
        let has_debug_information = elf.has_debug_information();
        let separate = if has_debug_information {
            None
        } else {
            debug_files::find(&elf, &module.path, process.as_ref(), &host)
        };
        let mini = if separate.is_some() || elf.has_symbol_table() {
            None
        } else {
            mini_debug_info::read(&elf)
        };
        let own = ElfSymbols::read(&elf);
        let go = GoTable::read(&elf);
        // When there is nothing, that is why.
        let reason = own.as_ref().err().or(go.as_ref().err()).copied();
        let separate = separate.and_then(|elf| ElfSymbols::read(&elf).ok());
        let own = own.ok().map(Box::new).map(Source::Elf);
        let go = go.ok().flatten().map(Source::Go);
        let others = [separate, mini].map(|found| found.map(Box::new).map(Source::Elf));
        let [separate, mini] = others;
        let sources = if has_debug_information {
            [own, go, None, None]
        } else {
            [separate, go, mini, own]
        };
        let sources: Vec<Source> = sources.into_iter().flatten().collect();
        match reason {
            Some(reason) if sources.is_empty() => Err(reason),
            _ => Ok(Self(sources)),
        }
    }

    /// The functions at an address as the file states it.
    pub(super) fn find(&self, address: u64) -> Result<Box<[Function]>, Reason> {
        let mut reason = Reason::NoSymbols;
        for source in &self.0 {
            let found = match source {
                Source::Elf(elf) => elf.find(address),
                Source::Go(go) => go.find(address),
            };
            match found {
                Ok(functions) => return Ok(functions),
                Err(Reason::NoSymbols) => {}
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// Memory of the copies, bytes.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = self.0.iter().map(|source| match source {
            Source::Elf(elf) => elf.bytes(),
            Source::Go(go) => go.bytes(),
        });
        bytes.sum()
    }
}

/// Opens the file that a module was mapped from, and no other one: by the mapping, by its path in the root of its process,
/// and when the process is gone by its path on the host. The build id tells whether it is the same file; pids and
/// addresses are used again.
fn open_binary(module: &Module, process: Option<&Root>, host: &Root) -> Result<ElfFile, Reason> {
    let mut reason = match (module.seen, process) {
        (Some(_), Some(_)) => Reason::FileGone,
        _ => Reason::ProcessGone,
    };
    let mapped = || module.seen.map(|seen| Found::mapped(seen.pid, seen.mapping));
    let in_its_root = || process.map(|root| root.find(&*module.path));
    let on_the_host = || module.build_id.as_ref().map(|_| host.find(&*module.path));
    let ways: [&dyn Fn() -> Option<std::io::Result<Found>>; 3] = [&mapped, &in_its_root, &on_the_host];
    for found in ways.iter().filter_map(|find| find()) {
        let file = found.and_then(|found| found.open());
        match file.map_err(Reason::from).and_then(ElfFile::read) {
            Ok(elf) if elf.is_build(module.build_id.as_deref()) => return Ok(elf),
            Ok(_) => reason = Reason::FileReplaced,
            Err(Reason::FileGone) => {}
            Err(why) => reason = why,
        }
    }
    Err(reason)
}
