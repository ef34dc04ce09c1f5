use super::*;
use crate::target_memory::made_up::MadeUp;

#[test]
fn shapes() {
    let of = |element, base, is_free| Shape {
        base,
        element,
        is_free,
    };
    assert_eq!(Shape::of(24 << 32), of(None, 24, false));
    assert_eq!(Shape::of(22 << 32 | HAS_ELEMENTS | 2), of(Some(2), 22, false));
    assert_eq!(Shape::of(24 << 32 | HAS_ELEMENTS | 1), of(Some(1), 24, true));
    assert_eq!(
        Shape::of(24 << 32 | HAS_ELEMENTS | 0xa_0001),
        of(Some(1), 24, false)
    );
}

#[test]
fn arrays_of_arrays() {
    let mut memory = MadeUp::default();
    let (outer, inner, order) = (0x1000, 0x2000, 0x3000);
    memory.put_words(
        outer,
        &[
            24 << 32 | HAS_ELEMENTS | 0xa_0008,
            0,
            0,
            0,
            0,
            0,
            inner + DESCRIPTION,
        ],
    );
    memory.put_words(inner, &[0x201d, 0x1100, order]);
    memory.put_words(order, &[24 << 32]);
    let mut of = |handle| Kind::of(handle, &mut memory);
    assert_eq!(of(outer), Some(Kind::ArrayOf(inner + DESCRIPTION)));
    assert_eq!(of(inner + DESCRIPTION), Some(Kind::ArrayOf(order)));
    assert_eq!(of(order), Some(Kind::Other));
    memory.put_words(inner, &[0x200f]);
    assert_eq!(Kind::of(inner + DESCRIPTION, &mut memory), None, "a pointer");
}

#[test]
fn the_module_of_what_is_made_of_a_generic_type() {
    let mut memory = MadeUp::default();
    let (plain, made, canonical, with_slot) = (0x1000, 0x2000, 0x3000, 0x4000);
    memory.put_words(plain, &[24 << 32, 0, 0, 0x100, 0, 0]);
    memory.put_words(made, &[24 << 32 | 0x10, 0, 0, 0x200, 0, canonical + 2]);
    memory.put_words(canonical, &[24 << 32 | 0x20, 0, 0, 0x300, 0, 0]);
    // Three slots before that of the module, and nine virtual methods in two pieces.
    memory.put_words(
        with_slot,
        &[
            24 << 32 | 0x10,
            9 << 32 | 0x17,
            0,
            0x400,
            0,
            0,
            1,
            2,
            3,
            4,
            5,
            0x500,
        ],
    );
    let mut of = |table| module(table, &mut memory);
    assert_eq!(of(plain), Some(0x100));
    assert_eq!(of(made), Some(0x300));
    assert_eq!(of(with_slot), Some(0x500));
}

#[test]
fn what_may_be_looked_at_is_bounded_and_what_is_known_stays() {
    let mut memory = MadeUp::default();
    let (module, name) = (0x1000, 0x2000);
    memory.put_words(module, &[0, name]);
    memory.put(name, b"Shop\0");
    memory.put(name + 5, &[0; 0x1000 - 5]);
    let mut types = Types {
        pages: 1,
        ..Types::default()
    };
    assert!(types.metadata(module, &mut memory).is_none());
    assert_eq!((types.pages, types.modules.len()), (0, 1));
    let size = types.size();
    memory.put_words(module + 16, &[0, name]);
    assert!(types.metadata(module + 16, &mut memory).is_none());
    assert_eq!(types.modules.len(), 1, "it is not looked for");
    assert_eq!(types.size(), size);
}
