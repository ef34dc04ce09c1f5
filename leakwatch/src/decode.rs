//! Bytes from the kernel into typed readings. Total: whatever the bytes, an answer and never a panic.

use bytemuck::{AnyBitPattern, pod_read_unaligned};
use bytes::Bytes;
use leakwatch_common::{
    UnknownDiscriminant,
    counter::{Budget, Counter},
    interpreter::FrameWords,
    levels::{FileRow, TaskRow, ThreadRow, VmaRow},
    record::{
        AddressSpaceChanged, FdClosed, Header, ProcessExeced, ProcessExited, ProcessForked, RecordKind,
        Remapped, ThreadEnded,
    },
    stack::StackTaken,
};
use thiserror::Error;

use crate::raw::{RawBatch, SiteReading, Source};

/// Bytes that are not what their source should give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The batch ends inside a row or a record.
    #[error("{left} bytes left over, where a {what} takes {size}")]
    CutShort {
        /// What was expected.
        what: &'static str,
        /// Bytes it takes.
        size: usize,
        /// Bytes there were.
        left: usize,
    },
    /// A record of a kind this version does not know; what follows it cannot be found.
    #[error("unknown kind of record {0}")]
    UnknownRecord(u32),
}

impl From<UnknownDiscriminant> for DecodeError {
    fn from(UnknownDiscriminant(value): UnknownDiscriminant) -> Self {
        Self::UnknownRecord(value)
    }
}

/// One typed batch.
#[derive(Clone, Debug)]
pub enum Reading {
    /// Levels of every process.
    Tasks(Vec<TaskRow>),
    /// Every open descriptor.
    Files(Vec<FileRow>),
    /// Every anonymous mapping.
    Vmas(Vec<VmaRow>),
    /// Threads of one process that wait.
    Threads(Vec<ThreadRow>),
    /// Copied stacks, oldest first per CPU.
    Stacks(Vec<CopiedStack>),
    /// Every site in use.
    Sites(Vec<SiteReading>),
    /// What happened, oldest first per CPU.
    Records(Vec<Record>),
    /// What the kernel side lost, shed or skipped.
    Totals(Totals),
}

/// A sampled birth and the stack that it came from.
#[derive(Clone, Debug)]
pub struct CopiedStack {
    /// What was taken, and the registers.
    pub taken: StackTaken,
    /// The stack, from the stack pointer up.
    pub memory: Bytes,
    /// Frames of an interpreter, innermost first; empty in most processes.
    pub frames: Vec<FrameWords>,
}

/// What the kernel side lost, shed or skipped since it was loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    counters: [u64; Counter::COUNT],
    shed: [u64; Budget::COUNT],
}

impl Totals {
    /// One counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// Only this one has counted.
    #[cfg(test)]
    pub(crate) fn of(counter: Counter, count: u64) -> Self {
        let mut totals = Self::default();
        totals.counters[counter as usize] = count;
        totals
    }

    /// What was refused because a budget was spent.
    pub fn shed(&self, budget: Budget) -> u64 {
        self.shed[budget as usize]
    }
}

/// One record of the ring buffer.
#[derive(Clone, Copy, Debug)]
pub enum Record {
    /// A process was made.
    ProcessForked(ProcessForked),
    /// A process runs a new program.
    ProcessExeced(ProcessExeced),
    /// A process ended.
    ProcessExited(ProcessExited),
    /// A thread ended.
    ThreadEnded(ThreadEnded),
    /// A descriptor was closed.
    FdClosed(FdClosed),
    /// Anonymous memory appeared.
    Mapped(AddressSpaceChanged),
    /// Memory disappeared.
    Unmapped(AddressSpaceChanged),
    /// The program break moved.
    BrkSet(AddressSpaceChanged),
    /// Contents were given back.
    Discarded(AddressSpaceChanged),
    /// A mapping moved or changed its size.
    Remapped(Remapped),
}

/// Decodes one batch. An error comes with what was decoded before it.
pub fn decode(batch: &RawBatch) -> (Reading, Option<DecodeError>) {
    let bytes = &batch.bytes;
    match batch.source {
        Source::Tasks => with(Reading::Tasks, rows(bytes, "process row")),
        Source::Files => with(Reading::Files, rows(bytes, "descriptor row")),
        Source::Vmas => with(Reading::Vmas, rows(bytes, "mapping row")),
        Source::Threads => with(Reading::Threads, rows(bytes, "thread row")),
        Source::Stacks => with(Reading::Stacks, stacks(bytes)),
        Source::Sites => with(Reading::Sites, rows(bytes, "site")),
        Source::Records => with(Reading::Records, records(bytes)),
        Source::Counters => {
            let (values, error) = rows::<u64>(bytes, "counter");
            let mut totals = Totals::default();
            let places = totals.counters.iter_mut().chain(&mut totals.shed);
            for (total, value) in places.zip(values) {
                *total = value;
            }
            (Reading::Totals(totals), error)
        }
    }
}

fn with<T>(
    reading: impl FnOnce(T) -> Reading,
    (decoded, error): (T, Option<DecodeError>),
) -> (Reading, Option<DecodeError>) {
    (reading(decoded), error)
}

fn rows<T: AnyBitPattern>(bytes: &[u8], what: &'static str) -> (Vec<T>, Option<DecodeError>) {
    let size = size_of::<T>();
    let chunks = bytes.chunks_exact(size);
    let left = chunks.remainder().len();
    let error = (left != 0).then_some(DecodeError::CutShort { what, size, left });
    (chunks.map(pod_read_unaligned).collect(), error)
}

fn records(mut bytes: &[u8]) -> (Vec<Record>, Option<DecodeError>) {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        match record(&mut bytes) {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

fn stacks(bytes: &Bytes) -> (Vec<CopiedStack>, Option<DecodeError>) {
    let mut stacks = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match stack(bytes, &mut rest) {
            Ok(stack) => stacks.push(stack),
            Err(error) => return (stacks, Some(error)),
        }
    }
    (stacks, None)
}

fn stack(batch: &Bytes, rest: &mut &[u8]) -> Result<CopiedStack, DecodeError> {
    let taken: StackTaken = take(rest)?;
    let size = taken.len as usize;
    let Some((memory, after)) = rest.split_at_checked(size) else {
        return Err(DecodeError::CutShort {
            what: "stack",
            size,
            left: rest.len(),
        });
    };
    *rest = after;
    let size = (taken.frames as usize).saturating_mul(size_of::<FrameWords>());
    let Some((words, after)) = rest.split_at_checked(size) else {
        return Err(DecodeError::CutShort {
            what: "frames of an interpreter",
            size,
            left: rest.len(),
        });
    };
    *rest = after;
    Ok(CopiedStack {
        taken,
        memory: batch.slice_ref(memory),
        frames: words
            .chunks_exact(size_of::<FrameWords>())
            .map(pod_read_unaligned)
            .collect(),
    })
}

fn record(bytes: &mut &[u8]) -> Result<Record, DecodeError> {
    let mut peek = *bytes;
    let header: Header = take(&mut peek)?;
    Ok(match RecordKind::try_from(header.kind)? {
        RecordKind::ProcessForked => Record::ProcessForked(take(bytes)?),
        RecordKind::ProcessExeced => Record::ProcessExeced(take(bytes)?),
        RecordKind::ProcessExited => Record::ProcessExited(take(bytes)?),
        RecordKind::ThreadEnded => Record::ThreadEnded(take(bytes)?),
        RecordKind::FdClosed => Record::FdClosed(take(bytes)?),
        RecordKind::Mapped => Record::Mapped(take(bytes)?),
        RecordKind::Unmapped => Record::Unmapped(take(bytes)?),
        RecordKind::BrkSet => Record::BrkSet(take(bytes)?),
        RecordKind::Discarded => Record::Discarded(take(bytes)?),
        RecordKind::Remapped => Record::Remapped(take(bytes)?),
    })
}

fn take<T: AnyBitPattern>(bytes: &mut &[u8]) -> Result<T, DecodeError> {
    let size = size_of::<T>();
    let Some((head, rest)) = bytes.split_at_checked(size) else {
        return Err(DecodeError::CutShort {
            what: "record",
            size,
            left: bytes.len(),
        });
    };
    *bytes = rest;
    Ok(pod_read_unaligned(head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn batch(source: Source, bytes: &[u8]) -> RawBatch {
        RawBatch {
            source,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    #[test]
    fn records_of_different_sizes_follow_each_other() {
        let exited = ProcessExited {
            header: Header {
                kind: RecordKind::ProcessExited as u32,
                tgid: 7,
                time_ns: 1,
            },
            start_boottime_ns: 3,
        };
        let closed = FdClosed {
            header: Header {
                kind: RecordKind::FdClosed as u32,
                tgid: 8,
                time_ns: 2,
            },
            birth_ns: 1,
            sample: 4096,
            fd: 3,
        };
        let bytes = [bytemuck::bytes_of(&exited), bytemuck::bytes_of(&closed)].concat();
        let (Reading::Records(records), None) = decode(&batch(Source::Records, &bytes)) else {
            panic!("does not decode")
        };
        assert!(matches!(
            records[0],
            Record::ProcessExited(ProcessExited {
                start_boottime_ns: 3,
                ..
            })
        ));
        assert!(matches!(
            records[1],
            Record::FdClosed(FdClosed {
                sample: 4096,
                fd: 3,
                ..
            })
        ));
    }

    #[test]
    fn stacks_bring_their_memory() {
        let taken = |len| StackTaken {
            len,
            sample: len,
            ..bytemuck::Zeroable::zeroed()
        };
        let bytes = [
            bytemuck::bytes_of(&taken(3)),
            b"abc",
            bytemuck::bytes_of(&taken(5)),
            b"de",
        ]
        .concat();
        let (Reading::Stacks(stacks), error) = decode(&batch(Source::Stacks, &bytes)) else {
            panic!("does not decode")
        };
        assert_eq!(stacks.len(), 1);
        assert_eq!((&stacks[0].memory[..], stacks[0].taken.sample), (&b"abc"[..], 3));
        assert_eq!(
            error,
            Some(DecodeError::CutShort {
                what: "stack",
                size: 5,
                left: 2
            })
        );
    }

    #[test]
    fn frames_of_an_interpreter_follow_the_stack() {
        let taken = |frames| StackTaken {
            len: 3,
            frames,
            ..bytemuck::Zeroable::zeroed()
        };
        let frames = [1, 2].map(|code| FrameWords {
            code,
            position: 10 * code,
        });
        let bytes = [
            bytemuck::bytes_of(&taken(2)),
            b"abc",
            bytemuck::cast_slice(&frames),
            bytemuck::bytes_of(&taken(0)),
            b"def",
            bytemuck::bytes_of(&taken(u32::MAX)),
            b"ghi",
            &[0; 24],
        ]
        .concat();
        let (Reading::Stacks(stacks), error) = decode(&batch(Source::Stacks, &bytes)) else {
            panic!("does not decode")
        };
        assert_eq!(stacks.len(), 2);
        assert_eq!(
            (&stacks[0].memory[..], &*stacks[0].frames),
            (&b"abc"[..], &frames[..])
        );
        assert_eq!((&stacks[1].memory[..], stacks[1].frames.len()), (&b"def"[..], 0));
        assert!(matches!(error, Some(DecodeError::CutShort { left: 24, .. })));
    }

    #[test]
    fn what_precedes_a_cut_is_kept() {
        let exited = ProcessExited {
            header: Header {
                kind: RecordKind::ProcessExited as u32,
                tgid: 7,
                time_ns: 1,
            },
            start_boottime_ns: 3,
        };
        let bytes = [bytemuck::bytes_of(&exited), &bytemuck::bytes_of(&exited)[..20]].concat();
        let (Reading::Records(records), error) = decode(&batch(Source::Records, &bytes)) else {
            panic!()
        };
        assert_eq!(records.len(), 1);
        assert_eq!(
            error,
            Some(DecodeError::CutShort {
                what: "record",
                size: 24,
                left: 20
            })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes: Vec<u8>, source in any::<u8>()) {
            let sources =
                [Source::Tasks, Source::Files, Source::Vmas, Source::Threads, Source::Stacks, Source::Sites,
                    Source::Records, Source::Counters];
            decode(&batch(sources[usize::from(source) % sources.len()], &bytes));
        }
    }
}
