//! Which events there are: metadata say of each number whose event it is (NetTraceFormat_v5.md, "Metadata event encoding").

use std::collections::HashMap;

use bytes::Buf as _;

use super::{PROVIDER, event::Events};
use crate::attach::Refused;

/// Numbers that are remembered.
const MAX_KINDS: usize = 1 << 12;
/// Characters of the name of a provider at the most.
const MAX_NAME: usize = 256;

const BROKEN: Refused = Refused::Answer("what it says of its events breaks off");

/// An event that counts (dotnet/runtime src/coreclr/vm/ClrEtwAll.man).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    CollectionStart,
    CollectionEnd,
    /// Names of types.
    BulkType,
    /// Objects on the heap.
    BulkNode,
}

impl EventKind {
    fn of_runtime(event: u32) -> Option<Self> {
        match event {
            1 => Some(Self::CollectionStart),
            2 => Some(Self::CollectionEnd),
            15 => Some(Self::BulkType),
            18 => Some(Self::BulkNode),
            _ => None,
        }
    }
}

/// The kinds of one stream.
#[derive(Default)]
pub(super) struct EventKinds(HashMap<u32, EventKind>);

impl EventKinds {
    /// Learns what a block of metadata says.
    pub(super) fn learn(&mut self, block: &[u8]) -> Result<(), Refused> {
        for event in Events::of(block)? {
            let mut payload = event?.payload;
            let number = payload.try_get_u32_le().map_err(|_| BROKEN)?;
            let provider = text(&mut payload, MAX_NAME).ok_or(BROKEN)?;
            let event = payload.try_get_u32_le().map_err(|_| BROKEN)?;
            let kind = EventKind::of_runtime(event).filter(|_| provider == PROVIDER);
            if let Some(kind) = kind {
                if self.0.len() >= MAX_KINDS {
                    return Err(Refused::Answer("it has too many kinds of events"));
                }
                self.0.insert(number, kind);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, metadata: u32) -> Option<EventKind> {
        self.0.get(&metadata).copied()
    }
}

/// Text of UTF-16 up to a zero, which is read too; no more than so many units of it are kept.
pub(super) fn text(bytes: &mut &[u8], most: usize) -> Option<String> {
    let mut units = Vec::new();
    loop {
        match bytes.try_get_u16_le().ok()? {
            0 => return Some(String::from_utf16_lossy(&units)),
            unit if units.len() < most => units.push(unit),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EventKind, EventKinds, text};
    use crate::attach::eventpipe::{PROVIDER, made_up};

    #[test]
    fn a_number_means_an_event_of_the_runtime_only() {
        let mut kinds = EventKinds::default();
        for (number, provider, event) in [(3, PROVIDER, 18), (4, "Shop", 18), (5, PROVIDER, 19)] {
            kinds.learn(&made_up::metadata(number, provider, event)).unwrap();
        }
        assert_eq!(kinds.get(3), Some(EventKind::BulkNode));
        assert_eq!((kinds.get(4), kinds.get(5), kinds.get(0)), (None, None, None));
    }

    #[test]
    fn text_is_read_to_its_end_and_kept_in_part() {
        let mut bytes = &b"a\0b\0c\0\0\0d\0"[..];
        assert_eq!(text(&mut bytes, 2).as_deref(), Some("ab"));
        assert_eq!(bytes, b"d\0");
        assert_eq!(text(&mut bytes, 2), None);
    }
}
