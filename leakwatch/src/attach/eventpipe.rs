//! EventPipe, by which every .NET since Core 3.0 tells tools of its events: a socket in its temporary directory.
//!
//! A session with the keywords of `dotnet-gcdump` makes it collect its whole heap once and list what is left, object by
//! object. A runtime tells the name of a type once, until there was a session that does not want them.

mod event;
mod event_kind;
#[cfg(fuzzing)]
pub(in crate::attach) mod fuzzing;
mod heap_dump;
mod incoming;
mod ipc;
mod losses;
#[cfg(test)]
mod made_up;
mod nettrace;
mod server;
mod type_name;

use std::{collections::HashMap, io::BufReader, time::Instant};

use self::{
    heap_dump::{HeapDump, Objects},
    ipc::Wanted,
    nettrace::Nettrace,
    server::Server,
    type_name::without_arguments,
};
use super::{
    Adapter, Conversation, Refused,
    process::{PATIENCE, Process},
};
use crate::{
    coreclr::{self, method_table::Types},
    model::{
        census::{CensusRow, Counted, Heap, RuntimeView},
        runtime, sanitize,
    },
};

/// Who writes the events of the runtime itself.
const PROVIDER: &str = "Microsoft-Windows-DotNETRuntime";
/// Keywords: collections, what is on the heap after one, one at once, names of types (ClrEtwAll.man).
const COLLECTIONS: u64 = 0x1;
const TYPES: u64 = 0x8_0000;
const HEAP_DUMP: u64 = 0x10_0000;
const COLLECT: u64 = 0x80_0000;
const TYPE_NAMES: u64 = 0x100_0000;
/// No names of types, and hardly an event.
const FORGET_NAMES: Wanted = Wanted {
    keywords: COLLECTIONS,
    megabytes: 1,
};
/// An object takes about fifty bytes of the buffer; some versions send nothing before they have listed all. A full one takes
/// 303 MB in .NET Core 3.1.
const LIST_HEAP: Wanted = Wanted {
    keywords: COLLECTIONS | TYPES | HEAP_DUMP | COLLECT | TYPE_NAMES,
    megabytes: 256,
};
/// Bytes that are read together.
const READ: usize = 256 << 10;

/// By a list of the heap.
pub(super) struct EventPipe;

impl Adapter for EventPipe {
    fn runtime(&self) -> &'static str {
        runtime::DOTNET
    }

    fn acts(&self) -> &'static str {
        "collects its whole heap, now and again at the end, and stands still while it lists its objects, \
         for which it takes up to 300 MB of memory"
    }

    fn attach(&self, process: Process) -> Result<Box<dyn Conversation>, Refused> {
        Ok(Box::new(Server::find(process)?))
    }
}

impl Conversation for Server {
    fn ask(&mut self) -> Result<RuntimeView, Refused> {
        let until = Instant::now() + PATIENCE;
        let (mut session, incoming) = self.trace(FORGET_NAMES, until)?;
        session.stop()?;
        let mut trace = Nettrace::begin(incoming)?;
        while trace.next()?.is_some() {}
        session.end()?;

        let (mut session, incoming) = self.trace(LIST_HEAP, until)?;
        let mut trace = Nettrace::begin(BufReader::with_capacity(READ, incoming))?;
        let mut dump = HeapDump::default();
        while dump.read(&mut trace)? {
            if dump.is_complete() {
                session.stop()?;
            }
        }
        session.end()?;
        Ok(view(dump, self.process()))
    }
}

/// In the words of a census, which knows the names of types by their metadata where it knows the version.
fn view(dump: HeapDump, process: &Process) -> RuntimeView {
    let version = process.recognised().runtime_version.as_deref();
    let is_known = version.is_some_and(coreclr::is_known);
    let mut memory = is_known.then(|| process.memory().ok()).flatten();
    let mut types = Types::default();
    let lost = dump.lost();
    let mut sums: HashMap<String, (u64, u64)> = HashMap::new();
    let (mut live, mut nameless, mut inner_only) = (0_u64, 0, false);
    for (id, Objects { told, count, bytes }) in dump.into_types() {
        live = live.saturating_add(bytes);
        let by_metadata = memory.as_mut().and_then(|memory| types.name(id, memory));
        inner_only |= by_metadata.is_none();
        let name = by_metadata.unwrap_or_else(|| sanitize::text(without_arguments(&told).as_bytes()));
        if name.is_empty() {
            nameless += count;
        } else {
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + count, sum.1.saturating_add(bytes));
        }
    }
    RuntimeView {
        runtime: runtime::DOTNET.to_owned(),
        heap: Heap {
            live: Some(live),
            ..Heap::default()
        },
        rows: rows(sums),
        unknown: unknown(lost, nameless, inner_only),
        ..RuntimeView::default()
    }
}

fn rows(sums: HashMap<String, (u64, u64)>) -> Vec<CensusRow> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|(a, (_, a_bytes)), (b, (_, b_bytes))| b_bytes.cmp(a_bytes).then_with(|| a.cmp(b)));
    let rows = sums
        .into_iter()
        .map(|(name, (count, bytes))| CensusRow::of(Counted::Type, name, count, Some(bytes)));
    rows.collect()
}

/// What is wrong with the numbers.
fn unknown(lost: u64, nameless: u64, inner_only: bool) -> Option<String> {
    let mut unknown = Vec::new();
    if lost > 0 {
        unknown.push(format!(
            "it lists more objects than it has room for, {lost} of its events are lost: counts are too low"
        ));
    }
    if nameless > 0 {
        unknown.push(format!("it tells no name of the types of {nameless} objects"));
    }
    if inner_only {
        unknown.push(
            "a type in another is told without that one's name, those of one name are one row".to_owned(),
        );
    }
    (!unknown.is_empty()).then(|| unknown.join("; "))
}

#[cfg(test)]
mod tests;
