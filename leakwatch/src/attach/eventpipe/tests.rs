use std::{fs, path::Path};

use super::{HeapDump, Nettrace, Process, made_up, unknown, view};
use crate::process_stat;

/// Of a session that lost an event.
fn stream() -> Vec<u8> {
    made_up::stream(&[
        made_up::start(8, 1),
        made_up::named(7, "Slot[Price]"),
        made_up::named(8, "Slot[System.String]"),
        made_up::named(9, "Order\u{1b}"),
        made_up::nodes(0, &[(24, 7), (32, 8), (100, 9)]),
        made_up::nodes(1, &[(8, 10)]),
        made_up::end(8),
    ])
}

#[test]
fn types_of_one_name_are_one_row() {
    let stream = stream();
    let mut trace = Nettrace::begin(&*stream).unwrap();
    let mut dump = HeapDump::default();
    while dump.read(&mut trace).unwrap() {}
    let view = view(dump, &Process::open(process_stat::own()).unwrap());
    let rows: Vec<_> = view
        .rows
        .iter()
        .map(|row| (&*row.name, row.count, row.bytes))
        .collect();
    assert_eq!(rows, [("Order\u{fffd}", 1, Some(100)), ("Slot", 2, Some(56))]);
    assert_eq!(view.heap.live, Some(164));
    assert_eq!(view.unknown, unknown(1, 1, true));
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(unknown(0, 0, false), None);
    let unknown = unknown(5, 7, true).unwrap();
    for part in ["5 of its events", "types of 7 objects", "one row"] {
        assert!(unknown.contains(part), "{unknown}");
    }
}

#[test]
#[ignore = "writes what the fuzz target begins with"]
fn seeds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/nettrace");
    fs::create_dir_all(&seeds).expect("a directory");
    fs::write(seeds.join("one-collection"), stream()).expect("a file");
}
