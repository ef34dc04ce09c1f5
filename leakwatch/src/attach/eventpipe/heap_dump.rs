//! Objects by type, of one collection of everything in which the runtime lists its heap
//! (dotnet/runtime src/coreclr/vm/ClrEtwAll.man: GCStart, GCEnd, BulkType, GCBulkNode).

use std::{collections::HashMap, io::Read};

use bytes::Buf as _;

use super::{
    event::Events,
    event_kind::{EventKind, EventKinds, text},
    losses::Losses,
    nettrace::{BlockKind, Nettrace, sequence_point},
};
use crate::attach::Refused;

/// Types at the most.
const MAX_TYPES: usize = 1 << 18;
/// Characters of a name at the most, and of all names together.
const MAX_NAME: usize = 1024;
const MAX_NAMES: usize = 32 << 20;
/// Fields of `GCStart` that tell the collection: it was asked for, and of the oldest generation.
const INDUCED: u32 = 1;
const OLDEST: u32 = 2;
/// Bytes before the objects of `GCBulkNode`: its number, how many, which runtime.
const RUNTIME: usize = 2;
/// Bytes of an object behind its address: its size, its type, how many others it refers to.
const SIZE: usize = 8;
const TYPE: usize = 8;
const EDGES: usize = 8;
/// Bytes of a type between its number and its name: module, token, flags, kind.
const MODULE_TO_NAME: usize = 8 + 4 + 4 + 1;
const ARGUMENT: usize = 8;

const BROKEN: Refused = Refused::Answer("an event of its heap breaks off");

/// What there is of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    /// Its name as the runtime tells it; empty when it did not.
    pub(super) told: String,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// What was listed so far.
#[derive(Default)]
pub(super) struct HeapDump {
    kinds: EventKinds,
    losses: Losses,
    /// By address of the type in the process.
    types: HashMap<u64, Objects>,
    /// Characters of their names.
    names: usize,
    /// The collection that is going on.
    collection: Option<u32>,
    objects: u64,
    complete: bool,
}

impl HeapDump {
    /// Reads the next block of a stream; whether there was one.
    pub(super) fn read(&mut self, trace: &mut Nettrace<impl Read>) -> Result<bool, Refused> {
        let pointer_size = trace.pointer_size();
        let Some((kind, block)) = trace.next()? else {
            return Ok(false);
        };
        match kind {
            BlockKind::Metadata => self.kinds.learn(block)?,
            BlockKind::Events => self.events(block, pointer_size)?,
            BlockKind::SequencePoint => {
                for (thread, sequence) in sequence_point(block)? {
                    self.losses.reached(thread, sequence)?;
                }
            }
            BlockKind::Other => {}
        }
        Ok(true)
    }

    /// Whether the whole heap was listed.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Events that the runtime had no room for.
    pub(super) fn lost(&self) -> u64 {
        self.losses.lost()
    }

    /// All types of which there are objects, by address of the type.
    pub(super) fn into_types(self) -> impl Iterator<Item = (u64, Objects)> {
        let types = self.types.into_iter();
        types.filter(|(_, objects)| objects.count > 0)
    }

    fn events(&mut self, block: &[u8], pointer_size: usize) -> Result<(), Refused> {
        for event in Events::of(block)? {
            let event = event?;
            self.losses.event(&event)?;
            let mut payload = event.payload;
            let read = match self.kinds.get(event.metadata) {
                Some(EventKind::CollectionStart) => self.start(&mut payload),
                Some(EventKind::CollectionEnd) => self.end(&mut payload),
                Some(EventKind::BulkType) => self.bulk_type(&mut payload)?,
                Some(EventKind::BulkNode) => self.bulk_node(&mut payload, pointer_size)?,
                None => continue,
            };
            read.ok_or(BROKEN)?;
        }
        Ok(())
    }

    /// The program may ask for such a collection as well; the one in which objects are listed is the one that counts.
    fn start(&mut self, payload: &mut &[u8]) -> Option<()> {
        let [number, generation, reason] = words(payload)?;
        if !self.complete && generation == OLDEST && reason == INDUCED {
            self.collection = Some(number);
        }
        Some(())
    }

    fn end(&mut self, payload: &mut &[u8]) -> Option<()> {
        let [number] = words(payload)?;
        if self.collection == Some(number) {
            self.collection = None;
            self.complete = self.objects > 0;
        }
        Some(())
    }

    fn bulk_type(&mut self, payload: &mut &[u8]) -> Result<Option<()>, Refused> {
        let Some(count) = bulk(payload) else {
            return Ok(None);
        };
        for _ in 0..count {
            let Some((id, told)) = named_type(payload) else {
                return Ok(None);
            };
            self.names += told.len();
            if self.names > MAX_NAMES {
                return Err(Refused::Answer("the names of its types are too long"));
            }
            self.of_type(id)?.told = told;
        }
        Ok(Some(()))
    }

    fn bulk_node(&mut self, payload: &mut &[u8], pointer_size: usize) -> Result<Option<()>, Refused> {
        let counts = self.collection.is_some();
        let Some(count) = words(payload).and_then(|[_number]| bulk(payload)) else {
            return Ok(None);
        };
        for _ in 0..count {
            let Some((bytes, id)) = node(payload, pointer_size) else {
                return Ok(None);
            };
            if counts {
                self.objects += 1;
                let objects = self.of_type(id)?;
                objects.count += 1;
                objects.bytes = objects.bytes.saturating_add(bytes);
            }
        }
        Ok(Some(()))
    }

    fn of_type(&mut self, id: u64) -> Result<&mut Objects, Refused> {
        if self.types.len() >= MAX_TYPES && !self.types.contains_key(&id) {
            return Err(Refused::Answer("it has too many types"));
        }
        Ok(self.types.entry(id).or_default())
    }
}

/// How many there are in an event of many.
fn bulk(payload: &mut &[u8]) -> Option<u32> {
    let [count] = words(payload)?;
    skip(payload, RUNTIME)?;
    Some(count)
}

/// Number and name of a type.
fn named_type(payload: &mut &[u8]) -> Option<(u64, String)> {
    let id = payload.try_get_u64_le().ok()?;
    skip(payload, MODULE_TO_NAME)?;
    let told = text(payload, MAX_NAME)?;
    let [arguments] = words(payload)?;
    skip(payload, usize::try_from(arguments).ok()?.checked_mul(ARGUMENT)?)?;
    Some((id, told))
}

/// Size and type of an object.
fn node(payload: &mut &[u8], pointer_size: usize) -> Option<(u64, u64)> {
    let node = skip(payload, pointer_size + SIZE + TYPE + EDGES)?;
    let mut fields = node.get(pointer_size..)?;
    Some((fields.try_get_u64_le().ok()?, fields.try_get_u64_le().ok()?))
}

fn words<const N: usize>(payload: &mut &[u8]) -> Option<[u32; N]> {
    let mut words = [0; N];
    for word in &mut words {
        *word = payload.try_get_u32_le().ok()?;
    }
    Some(words)
}

fn skip<'a>(payload: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (skipped, rest) = payload.split_at_checked(size)?;
    *payload = rest;
    Some(skipped)
}

#[cfg(test)]
mod tests;
