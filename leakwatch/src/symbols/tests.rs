//! Real processes. Files are in `built`.

mod built;
mod go;

use std::{
    fs::{self, File},
    process::{self, Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Symbols, elf_file::ElfFile};
use crate::model::stack::{Function, Module, ModuleKind, Sighting, Symbol};

const PATIENCE: Duration = Duration::from_mins(1);

/// The module that an address of a process is in, and the address as the file states it.
fn locate(pid: u32, address: u64) -> (Module, u64) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (first, end) = fields.next()?.split_once('-')?;
        let first = u64::from_str_radix(first, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        Some((first, end, offset, fields.nth(2)?.to_owned()))
    };
    let mapping = maps.lines().filter_map(parse);
    let (first, end, offset, path) = mapping
        .into_iter()
        .find(|(first, end, _, _)| (*first..*end).contains(&address))
        .unwrap();
    let in_file = address - first + offset;
    let data = fs::read(&path).unwrap();
    let elf = object::read::elf::ElfFile64::<object::Endianness>::parse(&*data).unwrap();
    let segments = object::Object::segments(&elf);
    let stated = segments.into_iter().find_map(|segment| {
        let (from, size) = object::ObjectSegment::file_range(&segment);
        let offset = in_file.checked_sub(from).filter(|offset| *offset < size)?;
        Some(object::ObjectSegment::address(&segment) + offset)
    });
    let build_id = ElfFile::read(File::open(&path).unwrap()).unwrap().build_id();
    let module = Module {
        kind: ModuleKind::Elf,
        path,
        build_id: build_id.map(Vec::into_boxed_slice),
        seen: Some(Sighting {
            pid,
            mapping: (first, end),
        }),
    };
    (module, stated.unwrap())
}

pub(super) fn look_up(symbols: &mut Symbols, module: &Module, address: u64) -> Arc<Symbol> {
    if let Some(known) = symbols.look_up(module, address) {
        return known;
    }
    assert!(symbols.settle(PATIENCE));
    symbols.look_up(module, address).unwrap()
}

pub(super) fn functions(symbol: &Symbol) -> &[Function] {
    match symbol {
        Symbol::Functions(functions) => functions,
        Symbol::Unknown(reason) => panic!("{reason}"),
    }
}

#[test]
fn a_function_of_libc() {
    let mut symbols = Symbols::start().unwrap();
    let (module, address) = locate(process::id(), libc::getppid as *const () as u64);
    let symbol = look_up(&mut symbols, &module, address + 1);
    assert!(functions(&symbol)[0].name.contains("getppid"), "{symbol:?}");
}

#[test]
fn a_file_that_is_gone_and_a_process_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sleeper");
    fs::copy("/bin/sleep", &path).unwrap();
    let mut child = Sleeper(Command::new(&path).arg("60").spawn().unwrap());
    let pid = child.0.id();
    let (module, address) = wait_for(|| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let line = maps
            .lines()
            .find(|line| line.contains("r-xp") && line.ends_with("/sleeper"))?;
        let first = u64::from_str_radix(line.split_once('-')?.0, 16).ok()?;
        Some(locate(pid, first + 16))
    });
    fs::remove_file(&path).unwrap();

    let mut symbols = Symbols::start().unwrap();
    // Stripped, but readable although it was deleted: it has symbols, or it says that it has none.
    let deleted = look_up(&mut symbols, &module, address);
    assert!(
        !matches!(&*deleted, Symbol::Unknown("file gone" | "process gone")),
        "{deleted:?}"
    );

    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let mut symbols = Symbols::start().unwrap();
    assert_eq!(
        *look_up(&mut symbols, &module, address),
        Symbol::Unknown("process gone")
    );
    // The same build in another process: asked again.
    let (module, _) = locate(process::id(), libc::getppid as *const () as u64);
    let other = Module {
        build_id: module.build_id.clone(),
        ..module
    };
    assert_eq!(symbols.look_up(&other, address), None);
}

#[test]
fn memory_without_a_file() {
    let mut symbols = Symbols::start().unwrap();
    let module = Module {
        kind: ModuleKind::Anonymous,
        path: "[anon]".to_owned(),
        build_id: None,
        seen: Some(Sighting {
            pid: process::id(),
            mapping: (0x1000, 0x2000),
        }),
    };
    assert_eq!(
        *look_up(&mut symbols, &module, 0x1010),
        Symbol::Unknown("no symbols for JIT code")
    );
    let map = format!("/tmp/perf-{}.map", process::id());
    fs::write(&map, "1000 20 jit\u{1b}[2Jted\n").unwrap();
    let found = look_up(&mut Symbols::start().unwrap(), &module, 0x1010);
    fs::remove_file(&map).unwrap();
    assert_eq!(functions(&found)[0].name, "jit\u{fffd}[2Jted");
}

#[test]
fn the_thread_ends_with_the_handle() {
    let symbols = Symbols::start().unwrap();
    let queue = Arc::downgrade(&symbols.queue);
    drop(symbols);
    wait_for(|| queue.upgrade().is_none().then_some(()));
}

struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = what() {
            return value;
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
}
