//! Events of a block: each a header, most of which is told by what differs from the one before, and a payload.

use bytes::Buf as _;

use crate::attach::Refused;

/// Bits of the flags of a block: headers are compressed.
const COMPRESSED: u16 = 1;
/// Bits of the first byte of a header: what is in it.
const METADATA: u8 = 1;
const CAPTURE: u8 = 2;
const THREAD: u8 = 4;
const STACK: u8 = 8;
const ACTIVITY: u8 = 16;
const RELATED_ACTIVITY: u8 = 32;
const PAYLOAD_SIZE: u8 = 128;
/// Bytes of the number of an activity.
const GUID: usize = 16;

const BROKEN: Refused = Refused::Answer("an event of it breaks off");

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Number of the metadata that describe it; 0 when it is metadata itself.
    pub(super) metadata: u32,
    /// The thread that wrote it.
    pub(super) thread: u64,
    /// Of how many events of that thread it is the last one, those included that were dropped.
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The events of a block.
pub(super) struct Events<'a> {
    rest: &'a [u8],
    /// The header before, which is all zeros at first.
    metadata: u32,
    thread: u64,
    sequence: u32,
    payload_size: usize,
}

impl<'a> Events<'a> {
    pub(super) fn of(block: &'a [u8]) -> Result<Self, Refused> {
        let mut head = block;
        let header_size = head.try_get_u16_le().map_err(|_| BROKEN)?;
        let flags = head.try_get_u16_le().map_err(|_| BROKEN)?;
        if flags & COMPRESSED == 0 {
            return Err(Refused::Answer("the headers of its events are not compressed"));
        }
        Ok(Self {
            rest: block.get(usize::from(header_size)..).ok_or(BROKEN)?,
            metadata: 0,
            thread: 0,
            sequence: 0,
            payload_size: 0,
        })
    }

    fn event(&mut self) -> Result<Event<'a>, Refused> {
        let flags = self.rest.try_get_u8().map_err(|_| BROKEN)?;
        let has = |bit: u8| flags & bit != 0;
        if has(METADATA) {
            self.metadata = self.number()?;
        }
        if has(CAPTURE) {
            let further: u32 = self.number()?;
            self.sequence = self.sequence.wrapping_add(further);
            self.thread = self.number()?;
            let _processor: u32 = self.number()?;
        }
        if self.metadata != 0 {
            self.sequence = self.sequence.wrapping_add(1);
        }
        if has(THREAD) {
            let _thread: u64 = self.number()?;
        }
        if has(STACK) {
            let _stack: u32 = self.number()?;
        }
        let _when: u64 = self.number()?;
        for activity in [ACTIVITY, RELATED_ACTIVITY] {
            if has(activity) {
                self.take(GUID)?;
            }
        }
        if has(PAYLOAD_SIZE) {
            let size: u32 = self.number()?;
            self.payload_size = usize::try_from(size).map_err(|_| BROKEN)?;
        }
        Ok(Event {
            metadata: self.metadata,
            thread: self.thread,
            sequence: self.sequence,
            payload: self.take(self.payload_size)?,
        })
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(BROKEN)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first; the eighth says that there are more.
    fn number<N: TryFrom<u64>>(&mut self) -> Result<N, Refused> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.rest.try_get_u8().map_err(|_| BROKEN)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return N::try_from(number).map_err(|_| BROKEN);
            }
        }
        Err(BROKEN)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, Refused>;

    /// After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = self.event();
        if event.is_err() {
            self.rest = &[];
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Events};
    use crate::attach::Refused;

    /// A header of a block without timestamps, and events.
    fn block(events: &[u8]) -> Vec<u8> {
        [&[4, 0, 1, 0], events].concat()
    }

    fn events(block: &[u8]) -> Result<Vec<Event<'_>>, Refused> {
        Events::of(block)?.collect()
    }

    #[test]
    fn what_a_header_does_not_say_is_as_before() {
        let everything = 1 | 2 | 4 | 8 | 16 | 32 | 128;
        let mut bytes = vec![everything, 7, 3, 0x81, 0x02, 0, 9, 5, 1];
        bytes.extend([0; 32]);
        bytes.extend([2, b'a', b'b', 0, 1, b'c', b'd']);
        let event = |sequence, payload| Event {
            metadata: 7,
            thread: 257,
            sequence,
            payload,
        };
        assert_eq!(
            events(&block(&bytes)).unwrap(),
            [event(4, b"ab"), event(5, b"cd")]
        );
    }

    #[test]
    fn what_breaks_off_is_an_error_once() {
        for broken in [
            &[128, 0, 9, 1][..],
            &[1, 0xff],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
        ] {
            assert!(matches!(events(&block(broken)), Err(Refused::Answer(_))));
            assert_eq!(Events::of(&block(broken)).unwrap().count(), 1);
        }
        assert!(events(&[4, 0, 0, 0]).is_err() && events(&[9, 0, 1, 0]).is_err() && events(&[]).is_err());
    }
}
