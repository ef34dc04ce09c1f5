//! One probe family, one file.

pub(crate) mod allocations;
pub(crate) mod faults;
pub(crate) mod fd;
pub(crate) mod files;
pub(crate) mod iterator;
pub(crate) mod lifecycle;
pub(crate) mod memory;
pub(crate) mod syscalls;
pub(crate) mod tasks;
pub(crate) mod threads;
pub(crate) mod vmas;
