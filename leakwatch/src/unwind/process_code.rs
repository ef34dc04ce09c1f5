//! The code of one process: of its files, and of what it made itself.

use super::{
    Image,
    address_space::{AddressSpace, Backing, Found, Hurry, Mapping},
    file::FoundFile,
    frames::{Code, Copied, Place},
    jit::{Caller, FrameMemory, Jits, NativeFrame},
    modules::Modules,
    scripts::Scripts,
};
use crate::model::stack::{CodeAddress, ModuleKind};

/// What the walk of one stack asks.
pub(super) struct ProcessCode<'a> {
    pub(super) image: Image,
    pub(super) space: &'a mut AddressSpace,
    pub(super) hurry: &'a mut Hurry,
    pub(super) modules: &'a mut Modules,
    pub(super) jits: &'a mut Jits,
    pub(super) scripts: &'a mut Scripts,
}

impl Code for ProcessCode<'_> {
    fn locate(&mut self, address: u64) -> Option<Place> {
        let pid = self.image.process.pid;
        if self.space.mapping(address).is_none() && !self.space.refresh(pid, self.hurry) {
            return None;
        }
        let mapping = self.space.mapping(address)?;
        if mapping.found == Found::NotYet {
            let found = self.modules.find(self.image, mapping);
            mapping.found = found.map_or(Found::Nothing, Found::Module);
        }
        match mapping.found {
            Found::Module(id) => self.modules.place(id, self.image, mapping, address),
            Found::NotYet | Found::Nothing => None,
        }
    }

    fn caller(&mut self, place: &Place, frame: NativeFrame, stack: &Copied<'_>) -> Option<Caller> {
        if !self.jits.knows(self.image) {
            self.look_for_runtime(place);
        }
        let mut memory = FrameMemory {
            pid: self.image.process.pid,
            stack,
        };
        self.jits.of(self.image)?.caller(frame, &mut memory)
    }

    fn functions(
        &mut self,
        place: &Place,
        frame: NativeFrame,
        stack: &Copied<'_>,
        frames: &mut Vec<CodeAddress>,
    ) -> bool {
        if !self.jits.knows(self.image) {
            self.look_for_runtime(place);
        }
        let Some(jit) = self.jits.of(self.image) else {
            return false;
        };
        let mut memory = FrameMemory {
            pid: self.image.process.pid,
            stack,
        };
        let Some(functions) = jit.functions(frame, &mut memory) else {
            return false;
        };
        let found: Option<Vec<CodeAddress>> = functions
            .into_iter()
            .map(|function| self.scripts.frame(function))
            .collect();
        let found = found.unwrap_or_default();
        frames.extend(&found);
        !found.is_empty()
    }
}

impl ProcessCode<'_> {
    /// Code that a process made itself was made by a runtime in one of its files, and so was what runs in such a file.
    fn look_for_runtime(&mut self, place: &Place) {
        if place.kind == ModuleKind::Anonymous && !self.space.searched {
            self.space.searched = true;
            for mapping in self.space.mappings_mut() {
                if mapping.found == Found::NotYet && matches!(mapping.backing, Backing::File(..)) {
                    let found = self.modules.find(self.image, mapping);
                    mapping.found = found.map_or(Found::Nothing, Found::Module);
                }
                add_runtime(self.jits, self.modules, self.image, mapping);
            }
        } else if self.modules.runtime(place.at.module).is_some()
            && let Some(mapping) = self.space.mapping(place.pc)
        {
            add_runtime(self.jits, self.modules, self.image, mapping);
        }
    }
}

fn add_runtime(jits: &mut Jits, modules: &mut Modules, image: Image, mapping: &Mapping) {
    if let (Found::Module(id), Backing::File(path, inode)) = (mapping.found, &mapping.backing)
        && let Some(runtime) = modules.runtime(id)
        && let Ok(file) = FoundFile::find(image.process.pid, mapping, path, *inode)
        && let Some(place) = modules.place(id, image, mapping, mapping.start)
    {
        let bias = mapping.start.wrapping_sub(place.at.address);
        jits.add(image, runtime, (path, &file), bias);
    }
}
