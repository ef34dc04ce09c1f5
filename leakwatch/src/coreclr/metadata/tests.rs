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

#[test]
fn names_of_types_and_methods() {
    let mut memory = memory();
    let metadata = Metadata::around(TEXTS + 1, &mut memory).expect("metadata");
    let mut name = |row| metadata.type_name(row, &mut memory);
    assert_eq!(name(1).as_deref(), Some("Shop.Orders"));
    assert_eq!(name(2).as_deref(), Some("Shop.Orders+Line"));
    assert_eq!((name(0), name(3)), (None, None));
    assert_eq!(metadata.method_name(1, &mut memory).as_deref(), Some("Place"));
    assert_eq!(metadata.method_name(2, &mut memory), None);
}

#[test]
fn a_name_that_is_not_in_its_texts_leads_to_no_metadata() {
    assert!(Metadata::around(TEXTS + 0x20, &mut memory()).is_none());
    assert!(Metadata::around(ROOT, &mut memory()).is_none());
    assert!(Metadata::around(0x10, &mut memory()).is_none());
}

#[test]
fn types_that_are_in_each_other_have_no_name() {
    let mut memory = memory();
    let nested = STREAM + 24 + 12 + 3 * 14;
    memory.put(nested, &halves(&[1, 1]));
    let metadata = Metadata::around(TEXTS + 1, &mut memory).expect("metadata");
    assert_eq!(metadata.type_name(1, &mut memory), None);
}

#[test]
fn any_byte_of_it_may_be_anything() {
    let whole = memory();
    let (head, tables, texts) = (ROOT..ROOT + 0x40, STREAM..STREAM + 0x60, TEXTS..TEXTS + 0x20);
    for address in head.chain(tables).chain(texts) {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut memory = whole.clone();
            memory.put(address, &[byte]);
            if let Some(metadata) = Metadata::around(TEXTS + 1, &mut memory) {
                for row in [0, 1, 2, u32::MAX] {
                    let _ = metadata.type_name(row, &mut memory);
                    let _ = metadata.method_name(row, &mut memory);
                }
            }
        }
    }
}
