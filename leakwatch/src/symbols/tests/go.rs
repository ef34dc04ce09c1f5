//! A stripped program of the Go at hand.

use std::{
    fs::{self, File},
    process::Command,
};

use object::{Object as _, ObjectSymbol as _, read::elf::ElfFile64};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::symbols::{elf_file::ElfFile, gopclntab::GoTable};

const PROGRAM: &str = "package main

//go:noinline
func leak(n int) int {
	return double(n) + len(held)
}

func double(n int) int { return n*n + len(held)*n }

var held []int

func main() { println(leak(1)) }
";
const LINE_OF_LEAK: u32 = 5;
const LINE_OF_DOUBLE: u32 = 8;

/// A stripped program and the address of its `main.leak`; `None` without Go.
fn program() -> Option<(TempDir, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name| directory.path().join(name);
    fs::write(file("main.go"), PROGRAM).unwrap();
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(file("program")).arg(file("main.go"));
    match go.env("CGO_ENABLED", "0").status() {
        Ok(status) => assert!(status.success()),
        Err(_) => return None,
    }
    let data = fs::read(file("program")).unwrap();
    let elf = ElfFile64::<object::Endianness>::parse(&*data).unwrap();
    let leak = elf
        .symbols()
        .find(|symbol| symbol.name() == Ok("main.leak"))
        .unwrap();
    let strip = Command::new("objcopy")
        .arg("--strip-all")
        .arg(file("program"))
        .status();
    assert!(strip.unwrap().success());
    Some((directory, leak.address()))
}

#[test]
fn names_and_lines_of_a_stripped_program_and_of_a_broken_one() {
    let Some((directory, leak)) = program() else {
        eprintln!("no Go: not tested (apt-get install golang-go)");
        return;
    };
    let path = directory.path().join("program");
    let elf = ElfFile::read(File::open(&path).unwrap()).unwrap();
    assert!(!elf.has_symbol_table());
    let table = GoTable::read(&elf).unwrap().unwrap();
    let functions = table.find(leak).unwrap();
    let [found] = &functions[..] else {
        panic!("nothing is inlined at its entry: {functions:?}")
    };
    assert_eq!(found.name, "main.leak");
    assert!(found.file.as_ref().unwrap().ends_with("/main.go"));
    assert!((LINE_OF_LEAK - 1..=LINE_OF_LEAK).contains(&found.line.unwrap()));
    let inlined = (leak..leak + 256).find_map(|address| {
        let functions = table.find(address).ok()?;
        (functions[0].name == "main.double").then_some(functions)
    });
    let inlined = inlined.expect("it is inlined into main.leak");
    assert_eq!(inlined[0].line, Some(LINE_OF_DOUBLE));
    assert_eq!(
        (inlined[1].name.as_str(), inlined[1].line),
        ("main.leak", Some(LINE_OF_LEAK))
    );
    assert!(table.find(0).is_err() && table.find(u64::MAX).is_err());

    let section = elf.section(".gopclntab").unwrap();
    let good = elf.data(section, usize::MAX).unwrap();
    let places = prop_oneof![0..72_usize, 72..good.len()];
    let change = (
        places,
        prop_oneof![Just(u64::MAX), Just(0), any::<u64>()],
        1..=8_usize,
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    });
    let addresses = (
        prop::collection::vec(change, 1..16),
        prop::collection::vec(0..1_u64 << 24, 64),
    );
    runner
        .run(&addresses, |(changes, addresses)| {
            let mut bytes = good.clone();
            for (at, value, width) in changes {
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
            }
            if let Some(table) = GoTable::parse(bytes) {
                for address in addresses {
                    let _ = table.find(address);
                }
            }
            Ok(())
        })
        .unwrap();
}
