//! CPython 3.8 to 3.13: threads, collections, and objects by type; and the functions behind its frames.

mod census;
mod code;
mod debug_offsets;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod layout;
mod lines;
mod process;
mod text;
mod types;

use self::{code::CodeReader, process::Process};
use super::{
    Runtime, Unknown,
    interpreters::{Followed, Interpreted},
    memory::Memory,
    target::Target,
    unknown,
};
use crate::model::census::{Heap, RuntimeView};

const NAME: &str = crate::model::runtime::PYTHON;

/// CPython.
pub(super) struct CPython;

impl Runtime for CPython {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let found = Process::find(target, memory)?;
        let objects = found
            .process
            .and_then(|process| census::objects(&process, memory));
        match objects {
            Ok(objects) => Some(RuntimeView {
                runtime: NAME.to_owned(),
                version: found.version,
                heap: Heap {
                    collections: Some(objects.collections),
                    ..Heap::default()
                },
                counters: objects.counters,
                rows: objects.rows,
                unknown: objects.incomplete.map(str::to_owned),
            }),
            Err(error) => Some(unknown(NAME, found.version, &error)),
        }
    }
}

impl Interpreted for CPython {
    fn name(&self) -> &'static str {
        NAME
    }

    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown> {
        let found = Process::find(target, memory).ok_or(Unknown::NotKept("there is no CPython"))?;
        let process = found.process?;
        Ok(Followed {
            interpreter: process.frames(memory),
            code: process.code,
            frames: Box::new(CodeReader(process)),
        })
    }
}
