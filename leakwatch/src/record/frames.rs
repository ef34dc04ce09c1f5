//! Names of stacks: thousands of stacks share few frames, so a recording holds each frame once and of a stack their numbers.

use std::collections::HashMap;

use super::{
    answers::{Asked, Changes, Known, TooMany},
    tick::Numbered,
};
use crate::model::{snapshot::FrameRow, stack::StackId};

/// Frames of a stack and why they are not all, as [`crate::assemble::Names`] says it.
pub(super) type Frames = (Vec<FrameRow>, Option<String>);

/// Names while they are recorded.
#[derive(Debug, Default)]
pub(super) struct AskedFrames {
    /// Of this tick.
    named: HashMap<StackId, Frames>,
    numbers: HashMap<FrameRow, u32>,
    next: u32,
    frames: Asked<u32, FrameRow>,
    stacks: Asked<StackId, Numbered>,
}

impl AskedFrames {
    pub(super) fn ask(&mut self, stack: StackId, ask: impl FnOnce() -> Frames) -> Frames {
        self.named.entry(stack).or_insert_with(ask).clone()
    }

    /// The tick begins anew: more names may have been found.
    pub(super) fn again(&mut self) {
        self.named.clear();
    }

    /// Ends a tick.
    pub(super) fn changes(&mut self) -> (Changes<u32, FrameRow>, Changes<StackId, Numbered>) {
        // In order, so that the numbers do not depend on a hash.
        let mut named: Vec<(StackId, Frames)> = self.named.drain().collect();
        named.sort_by_key(|&(stack, _)| stack);
        for (stack, (rows, cut)) in named {
            let numbers: Vec<u32> = rows.into_iter().map(|row| self.number(row)).collect();
            self.stacks.ask(stack, || (numbers, cut));
        }
        let frames = self.frames.changes();
        let frames_in_use = &self.frames;
        self.numbers.retain(|_, number| frames_in_use.was_asked(number));
        (frames, self.stacks.changes())
    }

    fn number(&mut self, row: FrameRow) -> u32 {
        let number = self.numbers.get(&row).copied().unwrap_or_else(|| {
            let number = self.next;
            // Those that are four thousand million frames old are not in use.
            self.next = self.next.wrapping_add(1);
            self.numbers.insert(row.clone(), number);
            number
        });
        self.frames.ask(number, || row);
        number
    }
}

/// Names while they are replayed.
#[derive(Debug, Default)]
pub(super) struct KnownFrames {
    frames: Known<u32, FrameRow>,
    stacks: Known<StackId, Numbered>,
}

impl KnownFrames {
    pub(super) fn apply(
        &mut self,
        frames: Changes<u32, FrameRow>,
        stacks: Changes<StackId, Numbered>,
    ) -> Result<(), TooMany> {
        self.frames.apply(frames)?;
        self.stacks.apply(stacks)
    }

    pub(super) fn get(&self, stack: StackId) -> Frames {
        let Some((numbers, cut)) = self.stacks.get(&stack) else {
            return Frames::default();
        };
        let frames = numbers.iter().filter_map(|number| self.frames.get(number));
        (frames.cloned().collect(), cut.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{AskedFrames, KnownFrames};
    use crate::model::{snapshot::FrameRow, stack::StackId};

    fn frame(address: u64) -> FrameRow {
        FrameRow {
            function: Some("function".to_owned()),
            file: None,
            line: None,
            module: "/bin/true".to_owned(),
            build_id: None,
            address,
            inlined: false,
            reason: None,
        }
    }

    #[test]
    fn stacks_share_frames() {
        let mut asked = AskedFrames::default();
        let mut known = KnownFrames::default();
        let stacks = |asked: &mut AskedFrames, inner: u64| {
            asked.ask(StackId(1), || (vec![frame(inner), frame(9)], None));
            asked.ask(StackId(2), || (vec![frame(2), frame(9)], Some("cut".to_owned())));
        };
        stacks(&mut asked, 1);
        let (frames, stacks_changed) = asked.changes();
        assert_eq!(
            serde_json::to_value(&frames).expect("JSON")["is"]
                .as_array()
                .map(Vec::len),
            Some(3)
        );
        known.apply(frames, stacks_changed).expect("room");
        assert_eq!(known.get(StackId(1)), (vec![frame(1), frame(9)], None));

        stacks(&mut asked, 1);
        let (frames, stacks_changed) = asked.changes();
        assert!(frames.is_empty() && stacks_changed.is_empty());

        stacks(&mut asked, 3);
        let (frames, stacks_changed) = asked.changes();
        assert_eq!(asked.numbers.len(), 3, "what is not used is forgotten");
        known.apply(frames, stacks_changed).expect("room");
        assert_eq!(known.get(StackId(1)).0, [frame(3), frame(9)]);
        assert_eq!(
            known.get(StackId(2)),
            (vec![frame(2), frame(9)], Some("cut".to_owned()))
        );
        assert_eq!(known.get(StackId(7)), (Vec::new(), None));
    }
}
