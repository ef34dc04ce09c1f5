//! Each different stack once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::model::stack::{CodeAddress, Stack, StackEnd, StackId};

/// Most stacks that are kept, and most frames of all of them together (16 bytes each).
const MAX_STACKS: usize = 32 << 10;
const MAX_FRAMES: usize = 512 << 10;

/// The stacks that were seen and are still in use. Numbers of those that are not are given again.
#[derive(Debug)]
pub(super) struct Stacks {
    slots: Vec<Option<Arc<Stack>>>,
    ids: HashMap<Arc<Stack>, StackId>,
    free: Vec<StackId>,
    frames: usize,
}

impl Default for Stacks {
    fn default() -> Self {
        let none = Arc::new(Stack {
            frames: Box::default(),
            end: StackEnd::Lost,
        });
        Self {
            ids: HashMap::from([(Arc::clone(&none), StackId::NONE)]),
            slots: vec![Some(none)],
            free: Vec::new(),
            frames: 0,
        }
    }
}

impl Stacks {
    /// Nothing when the table is full.
    pub(super) fn intern(&mut self, frames: &[CodeAddress], end: StackEnd) -> Option<StackId> {
        let stack = Stack {
            frames: frames.into(),
            end,
        };
        if let Some(&id) = self.ids.get(&stack) {
            return Some(id);
        }
        if self.ids.len() >= MAX_STACKS || self.frames + frames.len() > MAX_FRAMES {
            return None;
        }
        let stack = Arc::new(stack);
        let id = if let Some(id) = self.free.pop() {
            id
        } else {
            self.slots.push(None);
            StackId(u32::try_from(self.slots.len() - 1).ok()?)
        };
        self.slots[id.0 as usize] = Some(Arc::clone(&stack));
        self.frames += frames.len();
        self.ids.insert(stack, id);
        Some(id)
    }

    /// The stack without frames when there is none of that number.
    pub(super) fn get(&self, id: StackId) -> &Stack {
        let slot = |id: StackId| self.slots.get(id.0 as usize)?.as_deref();
        slot(id)
            .or_else(|| slot(StackId::NONE))
            .expect("the stack without frames is never removed")
    }

    pub(super) fn retain(&mut self, in_use: &HashSet<StackId>) {
        let Self {
            slots,
            ids,
            free,
            frames,
        } = self;
        ids.retain(|stack, &mut id| {
            let keep = id == StackId::NONE || in_use.contains(&id);
            if !keep {
                slots[id.0 as usize] = None;
                free.push(id);
                *frames -= stack.frames.len();
            }
            keep
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stack> {
        self.ids.keys().map(Arc::as_ref)
    }

    /// How many; the one without frames does not count.
    pub(super) fn len(&self) -> usize {
        self.ids.len() - 1
    }

    /// Memory that they take, bytes.
    pub(super) fn size(&self) -> usize {
        let each = size_of::<Stack>() + 2 * size_of::<usize>() + 2 * size_of::<(Arc<Stack>, StackId)>();
        self.frames * size_of::<CodeAddress>() + self.ids.capacity() * each
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Stacks;
    use crate::model::stack::{CodeAddress, ModuleId, StackEnd, StackId};

    fn frames(address: u64) -> [CodeAddress; 2] {
        [address, 7].map(|address| CodeAddress {
            module: ModuleId(0),
            address,
        })
    }

    #[test]
    fn a_stack_has_one_number_until_it_is_not_used() {
        let mut stacks = Stacks::default();
        let first = stacks.intern(&frames(1), StackEnd::Outermost).expect("room");
        let second = stacks.intern(&frames(2), StackEnd::Outermost).expect("room");
        assert_eq!(stacks.intern(&frames(1), StackEnd::Outermost), Some(first));
        assert_ne!(stacks.intern(&frames(1), StackEnd::Lost), Some(first));
        stacks.retain(&HashSet::from([second]));
        assert_eq!((stacks.len(), stacks.frames), (1, 2));
        assert!(stacks.get(first).frames.is_empty());
        assert_eq!(*stacks.get(second).frames, frames(2));
        assert!(
            stacks
                .intern(&frames(3), StackEnd::Lost)
                .is_some_and(|id| id != second)
        );
        assert_eq!(stacks.slots.len(), 4, "numbers are given again");
    }

    #[test]
    fn nothing_is_a_stack_without_frames() {
        let mut stacks = Stacks::default();
        assert_eq!(stacks.intern(&[], StackEnd::Lost), Some(StackId::NONE));
        assert_eq!(stacks.get(StackId::NONE).end, StackEnd::Lost);
        assert!(stacks.get(StackId(99)).frames.is_empty());
        stacks.retain(&HashSet::new());
        assert_eq!(stacks.intern(&[], StackEnd::Lost), Some(StackId::NONE));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut stacks = Stacks::default();
        let taken = (0..).take_while(|&address| stacks.intern(&frames(address), StackEnd::Lost).is_some());
        assert_eq!(taken.count(), super::MAX_STACKS - 1);
        let mut stacks = Stacks::default();
        let deep = vec![frames(1)[0]; super::MAX_FRAMES + 1];
        assert_eq!(stacks.intern(&deep, StackEnd::TooDeep), None);
    }
}
