//! Files that are not what a recorder wrote.

use proptest::prelude::{any, prop, proptest};

use super::{header, json, recorded, replayed};
use crate::record::{
    Ending, FORMAT, Looks, RecordError,
    format::{ChunkHead, ChunkKind, MAGIC},
    writer::Writer,
};

#[test]
fn of_a_file_that_is_cut_anywhere_the_whole_ticks_are_left() {
    let (file, seen) = recorded(4);
    let seen = json(&seen);
    let mut counts = Vec::new();
    for end in 0..file.len() {
        let (left, ending) = replayed(&file[..end]);
        assert_eq!(json(&left), seen[..left.len()]);
        match ending {
            Ok(Ending::CutShort) => counts.push(left.len()),
            Err(RecordError::Foreign(Looks::Empty)) => assert_eq!(end, 0),
            Err(RecordError::NoHeader) => assert!(counts.is_empty(), "at {end}"),
            other => panic!("at {end}: {other:?}"),
        }
    }
    counts.dedup();
    assert_eq!(counts, [0, 1, 2, 3, 4]);
}

#[test]
fn a_changed_byte_is_found_and_what_is_before_it_is_read() {
    let (file, seen) = recorded(2);
    let seen = json(&seen);
    for at in 0..file.len() {
        for change in [0x01, 0xff] {
            let mut file = file.clone();
            file[at] ^= change;
            let (left, ending) = replayed(&file);
            assert_eq!(json(&left), seen[..left.len()]);
            match ending {
                Err(RecordError::Foreign(_)) => assert!(at < MAGIC.len()),
                // A longer header than there is file.
                Err(RecordError::NoHeader) => assert!((10..14).contains(&at)),
                Err(RecordError::Damaged { offset, ticks, .. }) => {
                    assert!(offset <= at as u64);
                    assert_eq!(ticks as usize, left.len());
                }
                other => panic!("at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_left_of_a_damaged_file_is_said() {
    let (mut file, _) = recorded(4);
    let last = file.len() - ChunkHead::LENGTH - 1;
    file[last] ^= 1;
    let error = replayed(&file).1.expect_err("damaged").to_string();
    assert!(
        error.ends_with(
            "(the checksum of a tick); the 3 ticks before it, until 2025-10-09T08:53:22Z, can be read"
        ),
        "{error}"
    );
}

#[test]
fn a_later_format_says_who_reads_it() {
    let (file, _) = recorded(1);
    let length = 14 + u32::from_le_bytes(file[10..14].try_into().expect("four bytes")) as usize;
    let mut later = file[..length].to_vec();
    later[8..10].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    later.extend(crc32c::crc32c(&later).to_le_bytes());
    let error = replayed(&later).1.expect_err("too new").to_string();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        error.ends_with(&format!("leakwatch {version} or a later one reads it")),
        "{error}"
    );
}

#[test]
fn rows_of_another_layout_are_not_read() {
    let mut header = header();
    header.layout = serde_json::from_str(r#"{"machine": "s390x", "little_endian": false, "sizes": {}}"#)
        .expect("a layout");
    let mut file = Vec::new();
    drop(Writer::begin(&mut file, &header).expect("memory"));
    let error = replayed(&file).1.expect_err("another layout").to_string();
    assert!(error.contains("on s390x"), "{error}");
}

#[test]
fn a_tick_that_is_not_as_large_as_it_says_is_refused() {
    let mut file = Vec::new();
    drop(Writer::begin(&mut file, &header()).expect("memory"));
    file.truncate(file.len() - ChunkHead::LENGTH);
    // A gibibyte of zeros takes little room.
    let payload = zstd::bulk::compress(&vec![0; 1 << 30], 1).expect("memory");
    let head = ChunkHead {
        kind: ChunkKind::Tick,
        number: 0,
        size: 100,
        length: u32::try_from(payload.len()).expect("little"),
        crc: crc32c::crc32c(&payload),
    };
    file.extend(head.to_bytes());
    file.extend(payload);
    let error = replayed(&file).1.expect_err("larger").to_string();
    assert!(error.contains("the compression of a tick"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600), with_header: bool) {
        let mut file = Vec::new();
        if with_header {
            drop(Writer::begin(&mut file, &header()).expect("memory"));
            file.truncate(file.len() - ChunkHead::LENGTH);
        }
        file.extend(bytes);
        let _ = replayed(&file);
    }

    #[test]
    fn any_tick_is_answered(ticks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..4)) {
        let mut file = Vec::new();
        let mut writer = Writer::begin(&mut file, &header()).expect("memory");
        for (with_head, bytes) in ticks {
            let head: &[u8] = if with_head { b"\x02\0\0\0{}" } else { b"" };
            writer.tick(&[head, &bytes].concat()).expect("memory");
        }
        drop(writer);
        let _ = replayed(&file);
    }
}
