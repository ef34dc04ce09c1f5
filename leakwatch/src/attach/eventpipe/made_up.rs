//! Streams that are made up, for tests.

use super::{PROVIDER, event_kind::EventKind};

/// Numbers of the metadata of [`stream`].
const START: u8 = 1;
const END: u8 = 2;
const TYPE: u8 = 3;
const NODE: u8 = 4;

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A block of metadata that says whose event a number is.
pub(super) fn metadata(number: u32, provider: &str, event: u32) -> Vec<u8> {
    let payload = [words(&[number]), text(provider), words(&[event])].concat();
    [
        &[4, 0, 1, 0, 128, 0, u8::try_from(payload.len()).unwrap()][..],
        &payload,
    ]
    .concat()
}

/// An event of thread 9, so many after the one before it; the first one of a block is the first one of the thread.
pub(super) fn event(kind: EventKind, after: u8, payload: &[u8]) -> Vec<u8> {
    let number = match kind {
        EventKind::CollectionStart => START,
        EventKind::CollectionEnd => END,
        EventKind::BulkType => TYPE,
        EventKind::BulkNode => NODE,
    };
    let size = u8::try_from(payload.len()).unwrap();
    [
        &[1 | 2 | 128, number, after, 9, 0, 0, size & 0x7f | 0x80, size >> 7],
        payload,
    ]
    .concat()
}

pub(super) fn start(collection: u32, reason: u32) -> Vec<u8> {
    event(EventKind::CollectionStart, 0, &words(&[collection, 2, reason, 0]))
}

pub(super) fn end(collection: u32) -> Vec<u8> {
    event(EventKind::CollectionEnd, 0, &words(&[collection, 2]))
}

pub(super) fn named(id: u64, name: &str) -> Vec<u8> {
    let id = id.to_le_bytes().to_vec();
    let of_type = [id, vec![0; 17], text(name), words(&[1]), vec![0; 8]].concat();
    event(
        EventKind::BulkType,
        0,
        &[words(&[1]), vec![0; 2], of_type].concat(),
    )
}

/// Objects by size and type, after so many events that were lost.
pub(super) fn nodes(lost: u8, objects: &[(u64, u64)]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap();
    let mut payload = [words(&[0, count]), vec![0; 2]].concat();
    for (size, id) in objects {
        payload.extend(
            [0x1000, *size, *id, 0]
                .iter()
                .flat_map(|field| field.to_le_bytes()),
        );
    }
    event(EventKind::BulkNode, lost, &payload)
}

/// A stream of the events of one block.
pub(super) fn stream(events: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = b"Nettrace\x14\0\0\0!FastSerialization.1".to_vec();
    begin(&mut stream, "Trace", 4);
    let mut fields = [0; 48];
    fields[32] = 8;
    stream.extend(fields);
    stream.push(6);
    for (number, event) in [(START, 1), (END, 2), (TYPE, 15), (NODE, 18)] {
        block(
            &mut stream,
            "MetadataBlock",
            &metadata(number.into(), PROVIDER, event),
        );
    }
    let events = [&[4, 0, 1, 0], events.concat().as_slice()].concat();
    block(&mut stream, "EventBlock", &events);
    block(&mut stream, "StackBlock", b"anything");
    stream.push(1);
    stream
}

fn begin(stream: &mut Vec<u8>, name: &str, version: u32) {
    stream.extend([5, 5, 1]);
    stream.extend(words(&[version, version, u32::try_from(name.len()).unwrap()]));
    stream.extend(name.as_bytes());
    stream.push(6);
}

fn block(stream: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    begin(stream, name, 2);
    stream.extend(words(&[u32::try_from(bytes.len()).unwrap()]));
    stream.resize(stream.len().next_multiple_of(4), 0);
    stream.extend(bytes);
    stream.push(6);
}
