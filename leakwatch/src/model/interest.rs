//! What a viewer wants to see beyond the levels. Flows from presenters to the kernel side, so that what costs something is
//! read only while somebody looks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What costs something, and is read only of these processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Every process.
    pub fd_kinds_of_all: bool,
    /// These processes.
    pub fd_kinds_of: BTreeSet<u32>,
    /// How close every process is to its limits; else that is read of those that grow or have used half of one.
    #[serde(default)]
    pub limits_of_all: bool,
}

impl Interest {
    /// Whether the descriptors of `pid` are wanted by kind.
    pub fn wants_fd_kinds(&self, pid: u32) -> bool {
        self.fd_kinds_of_all || self.fd_kinds_of.contains(&pid)
    }

    /// Whether `pid` is wanted by name, and not as one of all.
    pub fn names(&self, pid: u32) -> bool {
        self.fd_kinds_of.contains(&pid)
    }

    /// Whether anything is wanted at all.
    pub fn is_empty(&self) -> bool {
        !self.fd_kinds_of_all && !self.limits_of_all && self.fd_kinds_of.is_empty()
    }

    /// Adds another viewer's wishes.
    pub fn merge(&mut self, other: &Self) {
        self.fd_kinds_of_all |= other.fd_kinds_of_all;
        self.limits_of_all |= other.limits_of_all;
        self.fd_kinds_of.extend(&other.fd_kinds_of);
    }
}
