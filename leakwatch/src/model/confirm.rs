//! A closer look at what is overdue: asked for by the detector, taken by whoever may touch a process.

use leakwatch_common::kind::Kind;
use serde::{Deserialize, Serialize};

use super::{finding::Resource, identity::ProcessId};

/// Items in a [`Wish`] at the most.
pub const MAX_ITEMS: usize = 256;

/// Which things are to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whose they are.
    pub process: ProcessId,
    /// What they count as.
    pub resource: Resource,
    /// What they are.
    pub kind: Kind,
    /// Descriptor numbers, thread ids or addresses, ascending; a sample of what is overdue, at most [`MAX_ITEMS`].
    pub items: Vec<u64>,
}

/// What two looks at the items of a [`Wish`] showed, or one where that was enough.
///
/// `stale + touched <= looked_at`; of the rest it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Whose they are.
    pub process: ProcessId,
    /// What they count as.
    pub resource: Resource,
    /// What they are.
    #[serde(with = "kind_name")]
    pub kind: Kind,
    /// Items that were there at both looks.
    pub looked_at: u32,
    /// Not used in between.
    pub stale: u32,
    /// Used in between.
    pub touched: u32,
    /// Sockets that have no peer any more, because it closed or the connection is over, and that this side has not closed.
    pub close_wait: u32,
    /// The largest group of descriptors that are open on one and the same file.
    pub same_file: u32,
    /// Threads that wait in one place and ran at neither look.
    pub waiting_alike: u32,
}

/// Takes the looks. It has effects, so it is given to the flow from outside.
pub trait Confirm {
    /// Looks; the answer comes after the last look, some ticks later, and then once.
    fn confirm(&mut self, now_ns: u64, wish: &Wish) -> Option<Confirmation>;
}

/// A kind by its name, as everywhere in JSON.
mod kind_name {
    use leakwatch_common::kind::Kind;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(super) fn serialize<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        let name = String::deserialize(deserializer)?;
        let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
        kind.copied()
            .ok_or_else(|| Error::custom(format_args!("{name:?} is no kind")))
    }
}
