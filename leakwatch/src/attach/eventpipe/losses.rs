//! Events that the runtime dropped because there was no room for them: every thread numbers its own.

use std::collections::HashMap;

use super::event::Event;
use crate::attach::Refused;

/// Threads of one session at the most.
const MAX_THREADS: usize = 1 << 16;

/// Counts what is missing.
#[derive(Default)]
pub(super) struct Losses {
    /// By thread, the number of its last event.
    last: HashMap<u64, u32>,
    lost: u64,
}

impl Losses {
    pub(super) fn event(&mut self, event: &Event<'_>) -> Result<(), Refused> {
        self.reached(event.thread, event.sequence.wrapping_sub(1))?;
        self.last.insert(event.thread, event.sequence);
        Ok(())
    }

    /// A sequence point says that there were so many events of a thread.
    pub(super) fn reached(&mut self, thread: u64, sequence: u32) -> Result<(), Refused> {
        if self.last.len() >= MAX_THREADS {
            return Err(Refused::Answer("too many threads write events"));
        }
        let last = self.last.entry(thread).or_insert(0);
        let missing = sequence.wrapping_sub(*last);
        // A number that was reached before is no loss of four billion events.
        if missing <= u32::MAX / 2 {
            self.lost = self.lost.saturating_add(missing.into());
            *last = sequence;
        }
        Ok(())
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::Losses;
    use crate::attach::eventpipe::event::Event;

    #[test]
    fn gaps_and_ends_are_losses_of_a_thread() {
        let mut losses = Losses::default();
        let event = |losses: &mut Losses, thread, sequence| {
            let event = Event {
                metadata: 1,
                thread,
                sequence,
                payload: &[],
            };
            losses.event(&event).unwrap();
        };
        for (thread, sequence) in [(7, 1), (8, 1), (7, 2), (7, 5)] {
            event(&mut losses, thread, sequence);
        }
        assert_eq!(losses.lost(), 2);
        losses.reached(8, 4).unwrap();
        losses.reached(7, 5).unwrap();
        assert_eq!(losses.lost(), 5);
        losses.reached(7, 3).unwrap();
        event(&mut losses, 8, 5);
        assert_eq!(losses.lost(), 5);
    }
}
