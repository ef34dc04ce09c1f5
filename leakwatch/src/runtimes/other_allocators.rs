//! Allocators whose books leakwatch does not read: said, with what can be done instead.

use super::{Runtime, memory::Memory, target::Target};
use crate::model::{census::RuntimeView, runtime};

/// jemalloc, tcmalloc, mimalloc and musl's.
pub(super) struct OtherAllocators;

impl Runtime for OtherAllocators {
    fn view(&self, target: &Target, _: &mut Memory) -> Option<RuntimeView> {
        let allocator = target
            .allocator()
            .filter(|allocator| allocator.name != runtime::GLIBC)?;
        let pid = target.process().pid;
        Some(RuntimeView {
            runtime: allocator.name.to_owned(),
            version: allocator.version.as_deref().map(str::to_owned),
            unknown: Some(format!(
                "{} keeps no sizes or types where leakwatch can read them; `leakwatch trace -p {pid}` says which functions \
                 allocate what is not freed",
                allocator.name
            )),
            ..RuntimeView::default()
        })
    }
}
