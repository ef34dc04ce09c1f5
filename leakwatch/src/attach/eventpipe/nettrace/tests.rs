use super::{BlockKind, Nettrace, sequence_point};
use crate::attach::{Refused, eventpipe::made_up};

fn kinds(stream: &[u8]) -> Result<Vec<BlockKind>, Refused> {
    let mut trace = Nettrace::begin(stream)?;
    let mut kinds = Vec::new();
    while let Some((kind, _)) = trace.next()? {
        kinds.push(kind);
    }
    Ok(kinds)
}

#[test]
fn blocks_are_aligned_and_told_by_their_names() {
    use BlockKind::{Events, Metadata, Other};
    let stream = made_up::stream(&[made_up::start(1, 1)]);
    assert_eq!(
        kinds(&stream).unwrap(),
        [Metadata, Metadata, Metadata, Metadata, Events, Other]
    );
    let mut trace = Nettrace::begin(&*stream).unwrap();
    assert_eq!(trace.pointer_size(), 8);
    let (_, block) = trace.next().unwrap().unwrap();
    assert_eq!(block, made_up::metadata(1, super::super::PROVIDER, 1));
}

#[test]
fn what_breaks_off_or_is_changed_is_no_answer() {
    let stream = made_up::stream(&[made_up::start(1, 1)]);
    for length in 0..stream.len() {
        assert!(
            matches!(kinds(&stream[..length]), Err(Refused::Answer(_))),
            "{length}"
        );
    }
    for at in [0, 8, 20, 32, 33, 34, 35, 43, 47, 52] {
        let mut changed = stream.clone();
        changed[at] ^= 0x40;
        assert!(matches!(kinds(&changed), Err(Refused::Answer(_))), "{at}");
    }
}

#[test]
fn a_sequence_point_is_as_long_as_it_says() {
    let mut block = vec![0; 8];
    block.extend([2, 0, 0, 0]);
    for (thread, sequence) in [(9_u64, 4_u32), (10, 1)] {
        block.extend(thread.to_le_bytes());
        block.extend(sequence.to_le_bytes());
    }
    assert_eq!(sequence_point(&block).unwrap(), [(9, 4), (10, 1)]);
    assert!(sequence_point(&block[..block.len() - 1]).is_err());
    block[11] = 0xff;
    assert!(sequence_point(&block).is_err());
}
