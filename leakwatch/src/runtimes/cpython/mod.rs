//! CPython 3.8 to 3.13: threads, collections, and objects by type; and the functions behind its frames.

mod code;
mod debug_offsets;
mod layout;
mod lines;
mod process;
mod text;

use self::{code::CodeReader, process::Process};
use super::{
    Runtime, Unknown,
    interpreters::{Followed, Interpreted},
    memory::Memory,
    target::Target,
    unknown,
};
use crate::model::census::RuntimeView;

const NAME: &str = "python";

/// CPython.
pub(super) struct CPython;

impl Runtime for CPython {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let found = Process::find(target, memory)?;
        match found.process {
            Ok(_) => Some(RuntimeView {
                runtime: NAME.to_owned(),
                version: found.version,
                ..RuntimeView::default()
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
