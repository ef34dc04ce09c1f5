//! Where the threads of one process wait, whenever they were started.

use std::collections::HashMap;

use crate::model::stack::StackId;

/// Threads by the stack they wait at.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    stacks: HashMap<StackId, Vec<u32>>,
}

impl Waiting {
    /// Adds a thread.
    pub fn add(&mut self, stack: StackId, tid: u32) {
        self.stacks.entry(stack).or_default().push(tid);
    }

    /// Thread ids by stack.
    pub fn stacks(&self) -> impl Iterator<Item = (StackId, &[u32])> {
        self.stacks.iter().map(|(&stack, tids)| (stack, tids.as_slice()))
    }
}
