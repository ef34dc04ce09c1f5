//! Files that the C compiler makes here: with DWARF, stripped, with a debug file, broken.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{self, Command},
};

use object::{Object as _, ObjectSymbol as _, read::elf::ElfFile64};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{functions, look_up};
use crate::{
    model::stack::{Module, ModuleKind, Sighting, Symbol},
    symbols::{Symbols, elf::ElfSymbols, elf_file::ElfFile, gopclntab::GoTable, mini_debug_info},
};

const PROGRAM: &str = "
static inline __attribute__((always_inline)) int inner(volatile int *n) { return *n * 3; }
__attribute__((noinline)) int outer(volatile int *n) {
    return inner(n) + 1;
}
static __attribute__((noinline)) int hidden(volatile int *n) { return *n + 7; }
int main(int argc, char **argv) { volatile int n = argc; return outer(&n) + hidden(&n); }
";
const LINE_OF_INNER: u32 = 2;
const LINE_OF_OUTER: u32 = 4;

struct Built {
    directory: TempDir,
    /// First address and size.
    outer: (u64, u64),
    hidden: (u64, u64),
}

impl Built {
    fn new(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("program.c");
        fs::write(&source, PROGRAM).unwrap();
        let program = directory.path().join("program");
        let standard = ["-O2", "-g", "-Wl,--build-id=sha1", "-o"];
        run(Command::new("cc")
            .args(standard)
            .arg(&program)
            .arg(&source)
            .args(options));
        let data = fs::read(&program).unwrap();
        let elf = ElfFile64::<object::Endianness>::parse(&*data).unwrap();
        let range = |name| {
            let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap();
            (symbol.address(), symbol.size())
        };
        Self {
            outer: range("outer"),
            hidden: range("hidden"),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn objcopy(&self, arguments: &[&str]) {
        run(Command::new("objcopy")
            .args(arguments)
            .current_dir(self.directory.path()));
    }

    fn module(&self) -> Module {
        let path = self.path("program");
        Module {
            kind: ModuleKind::Elf,
            build_id: open(&path).build_id().map(Vec::into_boxed_slice),
            path: path.to_str().unwrap().to_owned(),
            // Our root is its root. No such mapping: the path is used.
            seen: Some(Sighting {
                pid: process::id(),
                mapping: (0x1000, 0x2000),
            }),
        }
    }

    fn symbol(&self, address: u64) -> Symbol {
        Symbol::clone(&look_up(&mut Symbols::start().unwrap(), &self.module(), address))
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn open(path: &Path) -> ElfFile {
    ElfFile::read(File::open(path).unwrap()).unwrap()
}

/// Checks what DWARF says: `outer` with file and line, and `inner` inlined into it.
fn assert_has_lines(built: &Built) {
    let (first, size) = built.outer;
    let all: Vec<Symbol> = (first..first + size)
        .map(|address| built.symbol(address))
        .collect();
    let inlined = all.iter().map(functions).find(|functions| functions.len() == 2);
    let inlined = inlined.unwrap();
    assert_eq!([&*inlined[0].name, &*inlined[1].name], ["inner", "outer"]);
    assert_eq!(
        [inlined[0].line, inlined[1].line],
        [Some(LINE_OF_INNER), Some(LINE_OF_OUTER)]
    );
    let file = inlined[1].file.as_deref().unwrap();
    assert!(file.ends_with("/program.c"), "{file}");
}

fn name(symbol: &Symbol) -> &str {
    &functions(symbol)[0].name
}

#[test]
fn either_of_two_build_ids_says_that_it_is_the_file() {
    let built = Built::new(&[]);
    let gnu = built.module().build_id.unwrap();
    let note: Vec<u8> = [3_u32, 4, 4]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .chain(*b"Go\0\0only")
        .collect();
    fs::write(built.path("note"), note).unwrap();
    built.objcopy(&["--add-section", ".note.go.buildid=note", "program"]);
    let elf = open(&built.path("program"));
    assert!(elf.is_build(Some(&gnu)) && elf.is_build(Some(b"only")));
    assert!(!elf.is_build(Some(b"another")) && !elf.is_build(None));
    assert_eq!(elf.build_id().as_deref(), Some(&*gnu));
}

#[test]
fn its_own_dwarf() {
    assert_has_lines(&Built::new(&[]));
}

#[test]
fn compressed_dwarf() {
    assert_has_lines(&Built::new(&["-gz=zlib"]));
}

#[test]
fn a_symbol_table_without_dwarf() {
    let built = Built::new(&[]);
    built.objcopy(&["--strip-debug", "program"]);
    let symbol = built.symbol(built.hidden.0 + 1);
    assert_eq!(name(&symbol), "hidden");
    assert_eq!(functions(&symbol)[0].line, None);
}

#[test]
fn a_stripped_file() {
    let built = Built::new(&[]);
    built.objcopy(&["--strip-all", "program"]);
    assert_eq!(built.symbol(built.hidden.0 + 1), Symbol::Unknown("no symbols"));
}

#[test]
fn a_debug_file_beside_it() {
    let built = Built::new(&[]);
    built.objcopy(&["--only-keep-debug", "program", "program.debug"]);
    built.objcopy(&["--strip-all", "--add-gnu-debuglink=program.debug", "program"]);
    assert_has_lines(&built);
}

#[test]
fn a_debug_file_of_another_build_is_not_believed() {
    let (built, other) = (Built::new(&[]), Built::new(&["-DOTHER"]));
    other.objcopy(&["--only-keep-debug", "program", "program.debug"]);
    run(Command::new("objcopy")
        .arg("--update-section")
        .arg(format!(".note.gnu.build-id={}", {
            let note = other.path("note");
            let mut bytes = vec![4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
            bytes.extend([7; 20]);
            fs::write(&note, bytes).unwrap();
            note.display().to_string()
        }))
        .arg(other.path("program")));
    other.objcopy(&["--only-keep-debug", "program", "program.debug"]);
    fs::copy(other.path("program.debug"), built.path("program.debug")).unwrap();
    built.objcopy(&["--strip-all", "--add-gnu-debuglink=program.debug", "program"]);
    assert_eq!(built.symbol(built.hidden.0 + 1), Symbol::Unknown("no symbols"));
}

#[test]
fn mini_debug_information() {
    let built = Built::new(&[]);
    built.objcopy(&["--strip-debug", "program", "mini"]);
    let packed = File::create(built.path("mini.xz")).unwrap();
    let mut encoder = xz2::write::XzEncoder::new(packed, 6);
    std::io::Write::write_all(&mut encoder, &fs::read(built.path("mini")).unwrap()).unwrap();
    encoder.finish().unwrap();
    built.objcopy(&[
        "--strip-all",
        "--add-section",
        ".gnu_debugdata=mini.xz",
        "program",
    ]);
    assert_eq!(name(&built.symbol(built.hidden.0 + 1)), "hidden");
}

#[test]
fn the_file_is_another_one_now() {
    let built = Built::new(&[]);
    let mut module = built.module();
    module.build_id = Some(Box::from([1; 20]));
    let symbol = look_up(&mut Symbols::start().unwrap(), &module, built.outer.0);
    assert_eq!(*symbol, Symbol::Unknown("another file has taken its place"));
}

/// Reads names from bytes as the thread does, less the guard against panics.
fn read(bytes: &[u8], addresses: &[u64]) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broken");
    fs::write(&path, bytes).unwrap();
    let Ok(elf) = ElfFile::read(File::open(&path).unwrap()) else {
        return 0;
    };
    let go = GoTable::read(&elf).ok().flatten();
    let (_, _) = (elf.debug_link(), mini_debug_info::read(&elf));
    let symbols = ElfSymbols::read(&elf).ok();
    let names = addresses.iter().map(|&address| {
        usize::from(go.as_ref().is_some_and(|go| go.find(address).is_ok()))
            + usize::from(
                symbols
                    .as_ref()
                    .is_some_and(|symbols| symbols.find(address).is_ok()),
            )
    });
    names.sum()
}

/// Section headers and symbols that lie: huge, overlapping, out of the file.
#[test]
fn hostile_files_are_read_without_panic() {
    let built = Built::new(&[]);
    let good = fs::read(built.path("program")).unwrap();
    let addresses = [0, built.outer.0, built.outer.0 + 4, built.hidden.0, u64::MAX];
    assert!(read(&good, &addresses) > 0);
    let table = u64::from_le_bytes(*good[0x28..].first_chunk().unwrap());
    let table = usize::try_from(table).unwrap();
    let interesting = prop_oneof![(0..64_usize).prop_map(|at| at), table..good.len(), 0..good.len(),];
    let values = prop_oneof![
        Just(u64::MAX),
        Just(0),
        Just(10 << 30),
        Just(1 << 63),
        any::<u64>()
    ];
    let changes = prop::collection::vec((interesting, values, 1..=8_usize), 1..8);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    runner
        .run(
            &(changes, any::<prop::sample::Index>(), any::<bool>()),
            |(changes, cut, is_cut)| {
                let mut bytes = good.clone();
                for (at, value, width) in changes {
                    let end = (at + width).min(bytes.len());
                    bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                }
                if is_cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                read(&bytes, &addresses);
                Ok(())
            },
        )
        .unwrap();
}
