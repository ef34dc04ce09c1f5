use super::HeapDump;
use crate::attach::{
    Refused,
    eventpipe::{made_up, nettrace::Nettrace},
};

fn dump(stream: &[u8]) -> Result<HeapDump, Refused> {
    let mut trace = Nettrace::begin(stream)?;
    let mut dump = HeapDump::default();
    while dump.read(&mut trace)? {}
    Ok(dump)
}

fn types(dump: HeapDump) -> Vec<(u64, String, u64, u64)> {
    let mut types: Vec<_> = dump
        .into_types()
        .map(|(id, objects)| (id, objects.told, objects.count, objects.bytes))
        .collect();
    types.sort();
    types
}

#[test]
fn objects_of_the_collection_that_was_asked_for() {
    let events = [
        made_up::start(6, 0),
        made_up::nodes(0, &[(24, 7)]),
        made_up::end(6),
        made_up::start(7, 1),
        made_up::end(7),
        made_up::start(8, 1),
        made_up::named(7, "Shop.Order"),
        made_up::named(8, "never met"),
        made_up::nodes(0, &[(24, 7), (32, 7)]),
        made_up::nodes(0, &[(40, 9)]),
        made_up::end(8),
        made_up::start(9, 1),
        made_up::nodes(0, &[(24, 7)]),
        made_up::end(9),
    ];
    let dump = dump(&made_up::stream(&events)).unwrap();
    assert!(dump.is_complete() && dump.lost() == 0);
    assert_eq!(
        types(dump),
        [(7, "Shop.Order".to_owned(), 2, 56), (9, String::new(), 1, 40)]
    );
}

#[test]
fn events_without_room_are_counted() {
    let events = [
        made_up::start(8, 1),
        made_up::nodes(3, &[(24, 7)]),
        made_up::end(8),
    ];
    let dump = dump(&made_up::stream(&events)).unwrap();
    assert!(dump.is_complete());
    assert_eq!(dump.lost(), 3);
}

#[test]
fn a_collection_without_a_list_is_not_the_one() {
    let events = [made_up::start(7, 1), made_up::end(7), made_up::start(8, 1)];
    assert!(!dump(&made_up::stream(&events)).unwrap().is_complete());
}

#[test]
fn any_byte_may_be_changed() {
    let events = [
        made_up::start(8, 1),
        made_up::named(7, "Order"),
        made_up::nodes(0, &[(24, 7)]),
        made_up::end(8),
    ];
    let stream = made_up::stream(&events);
    for at in 0..stream.len() {
        for bits in [1, 0x80, 0xff] {
            let mut changed = stream.clone();
            changed[at] ^= bits;
            if let Err(refused) = dump(&changed) {
                assert!(matches!(refused, Refused::Answer(_)), "{at}: {refused}");
            }
        }
    }
}
