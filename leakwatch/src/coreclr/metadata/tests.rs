use super::*;
use crate::target_memory::made_up::MadeUp;

const ROOT: u64 = 0x10_0800;
const STREAM: u64 = ROOT + 0x100;
const TEXTS: u64 = ROOT + 0x300;
const TEXT: &[u8] = b"\0Shop\0Orders\0Line\0Place\0";
/// Where in it the words begin.
const SHOP: u16 = 1;
const ORDERS: u16 = 6;
const LINE: u16 = 13;
const PLACE: u16 = 18;

fn halves(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `Shop.Orders` with a method `Place`, and `Line` in it.
fn memory() -> MadeUp {
    let mut memory = MadeUp::default();
    memory.put(ROOT - ROOT % PAGE as u64, &[0; 2 * PAGE]);
    let mut head = b"BSJB\x01\0\x01\0\0\0\0\0\x0c\0\0\0v4.0.30319\0\0\0\0\x02\0".to_vec();
    for (from, length, name) in [
        (0x100_u32, 0x200_u32, &b"#~\0\0"[..]),
        (0x300, 0x20, b"#Strings\0\0\0\0"),
    ] {
        head.extend(from.to_le_bytes());
        head.extend(length.to_le_bytes());
        head.extend(name);
    }
    memory.put(ROOT, &head);
    memory.put(TEXTS, TEXT);
    let mut tables = vec![0; 8];
    tables.extend((1_u64 << TYPE_DEF | 1 << METHOD_DEF | 1 << NESTED_CLASS).to_le_bytes());
    tables.extend([0; 8]);
    tables.extend([2_u32, 1, 1].iter().flat_map(|rows| rows.to_le_bytes()));
    tables.extend(halves(&[0, 0, ORDERS, SHOP, 0, 1, 1]));
    tables.extend(halves(&[0, 0, LINE, 0, 0, 1, 2]));
    tables.extend(halves(&[0, 0, 0, 0, PLACE, 0, 1]));
    tables.extend(halves(&[2, 1]));
    memory.put(STREAM, &tables);
    memory
}

fn around(name: u64, memory: &mut MadeUp) -> Option<Metadata> {
    let mut pages = MAX_PAGES;
    Metadata::around(name, &mut pages, memory)
}

#[test]
fn names_of_types_and_methods() {
    let mut memory = memory();
    let metadata = around(TEXTS + 1, &mut memory).expect("metadata");
    let mut name = |row| metadata.type_name(row, &mut memory);
    assert_eq!(name(1).as_deref(), Some("Shop.Orders"));
    assert_eq!(name(2).as_deref(), Some("Shop.Orders+Line"));
    assert_eq!((name(0), name(3)), (None, None));
    assert_eq!(metadata.method_name(1, &mut memory).as_deref(), Some("Place"));
    assert_eq!(metadata.method_name(2, &mut memory), None);
}

#[test]
fn a_name_that_is_not_in_its_texts_leads_to_no_metadata() {
    assert!(around(TEXTS + 0x20, &mut memory()).is_none());
    assert!(around(ROOT, &mut memory()).is_none());
    assert!(around(0x10, &mut memory()).is_none());
}

#[test]
fn types_that_are_in_each_other_have_no_name() {
    let mut memory = memory();
    let nested = STREAM + 24 + 12 + 3 * 14;
    memory.put(nested, &halves(&[1, 1]));
    let metadata = around(TEXTS + 1, &mut memory).expect("metadata");
    assert_eq!(metadata.type_name(1, &mut memory), None);
}

#[test]
fn a_name_that_is_too_long_is_none() {
    let mut memory = memory();
    let long = [b'L'; MAX_TEXT];
    memory.put(TEXTS + TEXT.len() as u64, &long);
    memory.put(TEXTS + TEXT.len() as u64 + long.len() as u64, &[0]);
    memory.put(ROOT + 0x30, &0x400_u32.to_le_bytes());
    let metadata = around(TEXTS + 1, &mut memory).expect("metadata");
    let line = STREAM + 24 + 12 + 14;
    let at = u16::try_from(TEXT.len()).expect("it is short");
    let behind = |text: &str| at + u16::try_from(text.len()).unwrap();
    memory.put(line + 4, &halves(&[behind("Shop.Orders+")]));
    assert!(metadata.type_name(2, &mut memory).is_some());
    memory.put(line + 4, &halves(&[behind("Shop.Orders")]));
    assert_eq!(metadata.type_name(2, &mut memory), None);
}

#[test]
fn it_is_looked_for_in_so_many_pages_and_places() {
    let mut memory = memory();
    let name = TEXTS + PAGE as u64;
    memory.put(ROOT + 0x30, &0x1100_u32.to_le_bytes());
    let mut find = |pages: &mut u64| Metadata::around(name, pages, &mut memory).is_some();
    let mut pages = 3;
    assert!(find(&mut pages));
    assert!(!find(&mut pages), "it takes two pages");
    assert_eq!(pages, 0);
    let mut find = |places: usize| {
        for at in (name - name % PAGE as u64..).step_by(4).take(places) {
            memory.put(at, SIGNATURE);
        }
        around(name, &mut memory).is_some()
    };
    assert!(find(MAX_PLACES - 1));
    assert!(!find(MAX_PLACES));
}

#[test]
fn any_byte_of_it_may_be_anything() {
    let whole = memory();
    let (head, tables, texts) = (ROOT..ROOT + 0x40, STREAM..STREAM + 0x60, TEXTS..TEXTS + 0x20);
    for address in head.chain(tables).chain(texts) {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut memory = whole.clone();
            memory.put(address, &[byte]);
            if let Some(metadata) = around(TEXTS + 1, &mut memory) {
                for row in [0, 1, 2, u32::MAX] {
                    let _ = metadata.type_name(row, &mut memory);
                    let _ = metadata.method_name(row, &mut memory);
                }
            }
        }
    }
}
