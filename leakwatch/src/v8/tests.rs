//! A made-up heap, whole and broken.

use super::{
    class::Name,
    metadata::{Layout, Unknown},
    sample::{CONTEXT, Heap, OBJECT, small},
    shape::Shape,
    stated::{layout, values},
};

const SOURCE: &str = "// one\n// two\nfunction handle() {\n}\n";

/// A heap with a function, and the word that points to the function.
fn heap() -> (Heap, u64) {
    let mut heap = Heap::default();
    let script = heap.script("/srv/app.js", SOURCE);
    let name = heap.text("handle");
    let shared = heap.shared(name, 3, 29, script);
    let function = heap.function(shared);
    (heap, function)
}

#[test]
fn a_function_has_its_name_file_and_line() {
    let (mut heap, function) = heap();
    let layout = layout();
    let mut objects = heap.objects(&layout);
    let shared = objects.shared_of(function).expect("a function");
    let found = objects.function(shared).expect("there");
    assert_eq!(
        (found.name.as_str(), found.file.as_deref(), found.line),
        ("handle", Some("/srv/app.js"), Some(3))
    );
    let before = objects.fingerprint(shared).expect("there");
    assert_eq!(objects.fingerprint(shared), Some(before));
}

#[test]
fn names_are_made_of_parts_and_bounded() {
    let layout = layout();
    let mut heap = Heap::default();
    let (first, second) = (heap.text("get "), heap.wide_text("größe\u{202e}"));
    let joined = heap.joined(first, second);
    let long = heap.text(&"x".repeat(5000));
    let mut endless = heap.joined(first, first);
    for _ in 0..100 {
        endless = heap.joined(endless, first);
    }
    let mut objects = heap.objects(&layout);
    let mut text = |word| {
        let string = objects.object(word).expect("an object");
        objects.text(string).expect("a string")
    };
    assert_eq!(text(joined), "get größe\u{fffd}");
    assert_eq!(text(long).len(), 256);
    assert!(text(endless).len() <= 256);
}

#[test]
fn an_unnamed_function_is_anonymous() {
    let layout = layout();
    let mut heap = Heap::default();
    let undefined = heap.undefined();
    let empty = heap.text("");
    let shared = heap.shared(empty, 0, 0, undefined);
    let found = heap.objects(&layout).function(shared).expect("there");
    assert_eq!(
        (found.name.as_str(), found.file, found.line),
        ("(anonymous)", None, None)
    );
}

#[test]
fn what_has_moved_is_followed_and_what_is_something_else_is_not_believed() {
    let (mut heap, function) = heap();
    let layout = layout();
    // Where the function was lies where it is now.
    let old = heap.put(&[function - 1, 0, 0, 0]);
    let context = heap.object(CONTEXT, &[]);
    let mut objects = heap.objects(&layout);
    assert!(objects.shared_of(old).is_some());
    assert!(objects.is_context(context) && !objects.is_context(function));
    assert_eq!(objects.shared_of(context), None);
    for word in [0, 1, 2, small(5), u64::MAX, function - 1, function + 8] {
        assert_eq!(objects.shared_of(word), None, "{word:#x}");
    }
}

#[test]
fn a_class_is_named_after_its_constructor() {
    let (mut heap, function) = heap();
    let layout = layout();
    let root = heap.map(OBJECT, 4, function);
    let added = heap.map(OBJECT, 5, root);
    let mut objects = heap.objects(&layout);
    let kind = objects.kind(added).expect("a map");
    assert_eq!(
        (kind.name, kind.shape),
        (Name::Class("handle".to_owned()), Shape::Fixed(40))
    );
    assert_eq!(objects.kind(function), None);
    let map = |heap: &mut Heap, instance_type| heap.map(instance_type, 0, 0);
    let (array, table, free) = (map(&mut heap, 175), map(&mut heap, 180), map(&mut heap, 251));
    let mut objects = heap.objects(&layout);
    let mut name = |map| objects.kind(map).expect("a map").name;
    assert_eq!(name(array), Name::Class("(array)".to_owned()));
    assert_eq!(name(table), Name::Class("(array)".to_owned()));
    assert_eq!(name(free), Name::Nothing);
}

#[test]
fn maps_in_a_circle_end() {
    let layout = layout();
    let mut heap = Heap::default();
    // Points to the one that comes next, which points to it.
    let first = heap.map(OBJECT, 4, 0);
    let second = heap.map(OBJECT, 4, first);
    heap.memory.put_words(first - 1 + 32, &[second]);
    let kind = heap.objects(&layout).kind(first).expect("a map");
    assert_eq!(kind.name, Name::Class("Object".to_owned()));
}

#[test]
fn long_ways_of_many_maps_end() {
    let layout = layout();
    let mut heap = Heap::default();
    let shared = {
        let (undefined, name) = (heap.undefined(), heap.text("Order"));
        heap.shared(name, 0, 0, undefined)
    };
    let constructor = heap.function(shared);
    let maps = [heap.map(OBJECT, 4, constructor), heap.map(OBJECT, 4, constructor)];
    let mut objects = heap.objects(&layout);
    objects.transitions = 1;
    let mut name = |map| objects.kind(map).expect("a map").name;
    assert_eq!(name(maps[0]), Name::Class("Order".to_owned()));
    assert_eq!(name(maps[1]), Name::Class("Object".to_owned()));
}

#[test]
fn lines_are_counted_in_so_much_of_sources() {
    let (mut heap, function) = heap();
    let layout = layout();
    let mut objects = heap.objects(&layout);
    let shared = objects.shared_of(function).expect("a function");
    let read = u64::try_from(SOURCE.len()).expect("short");
    objects.counted = read;
    assert_eq!(objects.function(shared).expect("there").line, Some(3));
    assert!(objects.counted < read);
    objects.counted = 1;
    let found = objects.function(shared).expect("there");
    assert_eq!((found.name.as_str(), found.line), ("handle", None));
}

#[test]
fn every_broken_byte_is_survived() {
    let (whole, function) = heap();
    let layout = layout();
    for address in whole.memory.addresses() {
        for byte in [0, 1, 0x7f, 0xff] {
            let (mut heap, _) = heap();
            heap.memory.put(address, &[byte]);
            let mut objects = heap.objects(&layout);
            if let Some(shared) = objects.shared_of(function) {
                let _ = objects.function(shared);
            }
            let _ = objects.kind(address | 1);
        }
    }
}

#[test]
fn a_binary_that_does_not_say_all_is_not_read() {
    let mut less = values();
    less.remove("v8dbg_type_Script__SCRIPT_TYPE");
    let missing = Layout::of(&less).map(drop);
    assert_eq!(missing, Err(Unknown::Missing("type_Script__SCRIPT_TYPE")));
    let mut compressed = values();
    compressed.insert("v8dbg_TaggedSize".to_owned(), 4);
    assert_eq!(
        Layout::of(&compressed).map(drop),
        Err(Unknown::Other("TaggedSize", 4))
    );
    let mut far = values();
    far.insert("v8dbg_class_Script__name__Object".to_owned(), -8);
    assert_eq!(
        Layout::of(&far).map(drop),
        Err(Unknown::Other("class_Script__name__Object", -8))
    );
}
