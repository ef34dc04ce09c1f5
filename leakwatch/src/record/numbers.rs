//! Of a copied stack a recording holds its number and nothing else: neither memory nor registers of a process get into a file.
//!
//! The number stands where the program counter was. All other registers are 0, and no memory follows.

use std::collections::HashMap;

use bytemuck::Zeroable as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use leakwatch_common::{levels::ThreadRow, stack::StackTaken};

use crate::{
    decode::{Reading, decode},
    model::stack::StackId,
    raw::RawBatch,
};

/// What the unwinder made of stacks, in one tick.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    births: HashMap<(u32, u64, u32), StackId>,
    waiting: HashMap<(u32, u32), StackId>,
}

impl Numbers {
    pub(super) fn birth(&mut self, taken: &StackTaken, stack: StackId) {
        self.births.insert(birth(taken), stack);
    }

    pub(super) fn waiting(&mut self, thread: &ThreadRow, stack: StackId) {
        self.waiting.insert((thread.tgid, thread.tid), stack);
    }

    /// The batch as it is recorded.
    pub(super) fn instead_of(&self, batch: &RawBatch) -> Bytes {
        let (reading, error) = decode(batch);
        let mut bytes = BytesMut::new();
        match reading {
            Reading::Stacks(stacks) => {
                for stack in stacks {
                    bytes.put(bytemuck::bytes_of(&self.number(&stack.taken)));
                }
            }
            Reading::Threads(threads) => {
                for thread in threads {
                    bytes.put(bytemuck::bytes_of(&self.number_of_waiting(&thread)));
                }
            }
            Reading::Tasks(_)
            | Reading::Files(_)
            | Reading::Vmas(_)
            | Reading::Sites(_)
            | Reading::Records(_)
            | Reading::Totals(_) => return batch.bytes.clone(),
        }
        if error.is_some() {
            // What could not be decoded is not decoded again either.
            bytes.put_u8(0);
        }
        bytes.freeze()
    }

    fn number(&self, taken: &StackTaken) -> StackTaken {
        let stack = self.births.get(&birth(taken)).copied();
        StackTaken {
            pc: stack.unwrap_or(StackId::NONE).0.into(),
            start_boottime_ns: taken.start_boottime_ns,
            time_ns: taken.time_ns,
            item: taken.item,
            tgid: taken.tgid,
            exec_id: taken.exec_id,
            tid: taken.tid,
            sample: taken.sample,
            kind: taken.kind,
            weight: taken.weight,
            ..StackTaken::zeroed()
        }
    }

    fn number_of_waiting(&self, thread: &ThreadRow) -> ThreadRow {
        let stack = self.waiting.get(&(thread.tgid, thread.tid)).copied();
        ThreadRow {
            pc: stack.unwrap_or(StackId::NONE).0.into(),
            start_boottime_ns: thread.start_boottime_ns,
            tgid: thread.tgid,
            tid: thread.tid,
            ..ThreadRow::zeroed()
        }
    }
}

fn birth(taken: &StackTaken) -> (u32, u64, u32) {
    (taken.tgid, taken.start_boottime_ns, taken.sample)
}

/// The number in the place of a program counter.
pub(super) fn number(pc: u64) -> StackId {
    u32::try_from(pc).map_or(StackId::NONE, StackId)
}
