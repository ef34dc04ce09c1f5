//! The table of modules: each once for all processes that map it, and the unwind tables of those used last.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Image,
    address_space::{Backing, Mapping},
    cfi::Tables,
    elf::{Elf, Segment},
    file::{FileId, FoundFile},
    frames::{Place, Rules},
    jit::{JitRuntime, MARKS},
    source::{shown, tables, vdso},
};
use crate::model::stack::{CodeAddress, Module, ModuleId, ModuleKind, Sighting};

/// Unwind tables in memory, bytes.
const MAX_TABLES: usize = 24 << 20;
/// Most modules.
const MAX_MODULES: usize = 16 << 10;
/// Most files of which it is remembered what they are.
const MAX_FILES: usize = 16 << 10;

/// What makes a module that one and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// A build id, and the layout: programs that were built without care have the build ids of others.
    Build(Box<[u8]>, Box<[Segment]>),
    File(FileId),
    /// What a process made itself.
    Own(Image),
}

struct Entry {
    identity: Identity,
    module: Module,
    /// Who maps it at `module.seen`.
    seen_by: Image,
    /// Nothing for anonymous memory.
    elf: Option<Elf>,
    /// The runtime that it is the code of.
    runtime: Option<JitRuntime>,
    tables: Loaded,
    last_used: u64,
}

enum Loaded {
    NotYet,
    Tables(Arc<Tables>),
    /// The file has none.
    Absent,
}

/// What a file turned out to be.
#[derive(Clone, Copy)]
enum Known {
    Module(ModuleId),
    NotElf,
}

pub(super) struct Modules {
    slots: Vec<Option<Entry>>,
    free: Vec<ModuleId>,
    ids: HashMap<Identity, ModuleId>,
    files: HashMap<FileId, Known>,
    /// Unwind tables in memory, bytes.
    loaded: usize,
    limit: usize,
    clock: u64,
}

impl Default for Modules {
    fn default() -> Self {
        Self::with_limit(MAX_TABLES)
    }
}

impl Modules {
    fn with_limit(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            files: HashMap::new(),
            loaded: 0,
            limit,
            clock: 0,
        }
    }

    /// The module behind a mapping; nothing when it cannot be read or the table is full.
    pub(super) fn find(&mut self, image: Image, mapping: &Mapping) -> Option<ModuleId> {
        match &mapping.backing {
            Backing::Anonymous => self.anonymous(image, mapping),
            Backing::Vdso => {
                let elf = Elf::read(&*vdso(image, mapping).ok()?)?;
                let identity = Identity::Build(elf.build_id.clone()?, elf.segments.clone());
                self.intern(image, mapping, identity, Some(elf), None)
            }
            Backing::File(path, inode) => {
                let found = FoundFile::find(image.process.pid, mapping, path, *inode).ok()?;
                match self.files.get(&found.id) {
                    Some(&Known::Module(id)) => {
                        self.see(id, image, mapping);
                        Some(id)
                    }
                    Some(Known::NotElf) => self.anonymous(image, mapping),
                    None => self.read(image, mapping, &found),
                }
            }
        }
    }

    fn read(&mut self, image: Image, mapping: &Mapping, found: &FoundFile) -> Option<ModuleId> {
        if self.files.len() == MAX_FILES {
            self.files.clear();
        }
        let file = found.open().ok()?;
        let Some(elf) = Elf::read(&file) else {
            self.files.insert(found.id, Known::NotElf);
            return self.anonymous(image, mapping);
        };
        let identity = match &elf.build_id {
            Some(build_id) => Identity::Build(build_id.clone(), elf.segments.clone()),
            None => Identity::File(found.id),
        };
        let has = |mark: &str| elf.exports.is_some_and(|exports| exports.has(&file, mark));
        let runtime = MARKS.iter().find(|(mark, _)| has(mark));
        let runtime = runtime.map(|(_, runtime)| *runtime);
        let id = self.intern(image, mapping, identity, Some(elf), runtime)?;
        self.files.insert(found.id, Known::Module(id));
        Some(id)
    }

    fn anonymous(&mut self, image: Image, mapping: &Mapping) -> Option<ModuleId> {
        self.intern(image, mapping, Identity::Own(image), None, None)
    }

    fn intern(
        &mut self,
        image: Image,
        mapping: &Mapping,
        identity: Identity,
        elf: Option<Elf>,
        runtime: Option<JitRuntime>,
    ) -> Option<ModuleId> {
        if let Some(&id) = self.ids.get(&identity) {
            self.see(id, image, mapping);
            return Some(id);
        }
        if self.ids.len() == MAX_MODULES {
            return None;
        }
        let (kind, path) = match (&mapping.backing, &elf) {
            (Backing::File(path, _), Some(_)) => (ModuleKind::Elf, shown(path)),
            (Backing::Vdso, Some(_)) => (ModuleKind::Vdso, "[vdso]".to_owned()),
            _ => (ModuleKind::Anonymous, "[anon]".to_owned()),
        };
        let module = Module {
            kind,
            path,
            build_id: elf.as_ref().and_then(|elf| elf.build_id.clone()),
            seen: Some(sighting(image, mapping)),
        };
        let tables = if elf.is_some() {
            Loaded::NotYet
        } else {
            Loaded::Absent
        };
        let entry = Entry {
            identity: identity.clone(),
            module,
            seen_by: image,
            elf,
            runtime,
            tables,
            last_used: self.clock,
        };
        let id = if let Some(id) = self.free.pop() {
            id
        } else {
            self.slots.push(None);
            ModuleId(u32::try_from(self.slots.len() - 1).ok()?)
        };
        self.slots[id.0 as usize] = Some(entry);
        self.ids.insert(identity, id);
        Some(id)
    }

    /// The runtime that a module is the code of.
    pub(super) fn runtime(&self, id: ModuleId) -> Option<JitRuntime> {
        self.slots.get(id.0 as usize)?.as_ref()?.runtime
    }

    fn see(&mut self, id: ModuleId, image: Image, mapping: &Mapping) {
        if let Some(Some(entry)) = self.slots.get_mut(id.0 as usize) {
            entry.seen_by = image;
            entry.module.seen = Some(sighting(image, mapping));
        }
    }

    /// What an address in a mapping of a module is in the module, and how to unwind from there.
    pub(super) fn place(
        &mut self,
        id: ModuleId,
        image: Image,
        mapping: &Mapping,
        address: u64,
    ) -> Option<Place> {
        self.clock += 1;
        let entry = self.slots.get_mut(id.0 as usize)?.as_mut()?;
        entry.last_used = self.clock;
        let kind = entry.module.kind;
        let is_go = entry.elf.as_ref().is_some_and(|elf| elf.is_go);
        let Some(elf) = &entry.elf else {
            return Some(Place {
                at: CodeAddress { module: id, address },
                pc: address,
                kind,
                is_go,
                rules: Rules::FramePointer,
            });
        };
        let at = elf.code_address(mapping.offset.checked_add(address - mapping.start)?)?;
        let mut grown = 0;
        if matches!(entry.tables, Loaded::NotYet) {
            match tables(image, mapping, elf) {
                Err(_) => {}
                Ok(None) => entry.tables = Loaded::Absent,
                Ok(Some(tables)) => {
                    grown = tables.size;
                    entry.tables = Loaded::Tables(Arc::new(tables));
                }
            }
        }
        let rules = match &entry.tables {
            Loaded::Tables(tables) => Rules::Tables(Arc::clone(tables)),
            Loaded::Absent => Rules::FramePointer,
            Loaded::NotYet => Rules::Unreadable,
        };
        self.loaded += grown;
        if grown > 0 {
            self.unload_until_it_fits(id);
        }
        Some(Place {
            at: CodeAddress {
                module: id,
                address: at,
            },
            pc: address,
            kind,
            is_go,
            rules,
        })
    }

    fn unload_until_it_fits(&mut self, keep: ModuleId) {
        while self.loaded > self.limit {
            let loaded = self.slots.iter_mut().enumerate().filter_map(|(index, entry)| {
                let entry = entry.as_mut()?;
                let is_loaded = matches!(entry.tables, Loaded::Tables(_)) && index != keep.0 as usize;
                is_loaded.then_some(entry)
            });
            let Some(oldest) = loaded.min_by_key(|entry| entry.last_used) else {
                break;
            };
            self.loaded -= oldest.tables_size();
            oldest.tables = Loaded::NotYet;
        }
    }

    /// Nothing for a number that was not given, or is not in use any more.
    pub(super) fn get(&self, id: ModuleId) -> Option<&Module> {
        Some(&self.slots.get(id.0 as usize)?.as_ref()?.module)
    }

    /// Forgets modules that are not in use, and who mapped a module but is gone; `mapped` says who else does.
    pub(super) fn retain(
        &mut self,
        in_use: &HashSet<ModuleId>,
        mapped: &HashMap<ModuleId, (Image, Sighting)>,
        is_alive: &dyn Fn(&Image) -> bool,
    ) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(entry) = slot else { continue };
            let Ok(id) = u32::try_from(index).map(ModuleId) else {
                continue;
            };
            if !in_use.contains(&id) && !mapped.contains_key(&id) {
                self.loaded -= entry.tables_size();
                self.ids.remove(&entry.identity);
                self.free.push(id);
                *slot = None;
            } else if !is_alive(&entry.seen_by) {
                entry.module.seen = mapped.get(&id).map(|&(_, sighting)| sighting);
                entry.seen_by = mapped.get(&id).map_or(entry.seen_by, |&(image, _)| image);
            }
        }
        let slots = &self.slots;
        self.files.retain(|_, known| match known {
            Known::Module(id) => slots[id.0 as usize].is_some(),
            Known::NotElf => true,
        });
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many have their unwind tables in memory.
    pub(super) fn loaded(&self) -> usize {
        self.slots
            .iter()
            .flatten()
            .filter(|entry| entry.tables_size() > 0)
            .count()
    }

    /// Memory that they take, bytes: the unwind tables, nearly all of it.
    pub(super) fn size(&self) -> usize {
        self.loaded
            + self.slots.capacity() * size_of::<Option<Entry>>()
            + self.files.capacity() * size_of::<(FileId, Known)>()
    }
}

impl Entry {
    fn tables_size(&self) -> usize {
        if let Loaded::Tables(tables) = &self.tables {
            tables.size
        } else {
            0
        }
    }
}

fn sighting(image: Image, mapping: &Mapping) -> Sighting {
    Sighting {
        pid: image.process.pid,
        mapping: (mapping.start, mapping.end),
    }
}

#[cfg(test)]
mod tests {
    use super::Modules;
    use crate::{
        model::{identity::ProcessId, stack::ModuleKind},
        unwind::{
            Image,
            address_space::{AddressSpace, Backing, Mapping},
            frames::Rules,
        },
    };

    fn own_image() -> Image {
        let pid = std::process::id();
        Image {
            process: ProcessId {
                pid,
                start_time_ns: 0,
            },
            exec_id: 0,
        }
    }

    /// Mappings of the files of this process that have unwind tables, and of the vDSO.
    fn own_mappings() -> Vec<Mapping> {
        let space = AddressSpace::read(std::process::id()).expect("alive");
        let is_module = |mapping: &&Mapping| mapping.backing != Backing::Anonymous;
        space.mappings().iter().filter(is_module).cloned().collect()
    }

    #[test]
    fn the_tables_used_last_stay() {
        let image = own_image();
        let mut modules = Modules::with_limit(1);
        for round in 0..2 {
            for mapping in own_mappings() {
                let id = modules.find(image, &mapping).expect("readable");
                let place = modules
                    .place(id, image, &mapping, mapping.start + 0xfff)
                    .expect("code");
                assert!(matches!(place.rules, Rules::Tables(_)), "{mapping:?}");
                assert_eq!(
                    modules.loaded(),
                    1,
                    "no more than the limit, but the one that is asked for"
                );
                assert_eq!(
                    modules.loaded,
                    modules.slots[id.0 as usize]
                        .as_ref()
                        .map_or(0, super::Entry::tables_size)
                );
            }
            assert_eq!(modules.len(), own_mappings().len(), "round {round}");
        }
    }

    #[test]
    fn a_module_is_the_same_for_all_processes_and_own_code_is_not() {
        let (image, mut other) = (own_image(), own_image());
        other.exec_id = 1;
        let mut modules = Modules::default();
        for mut mapping in own_mappings() {
            assert_eq!(modules.find(image, &mapping), modules.find(other, &mapping));
            mapping.backing = Backing::Anonymous;
            let own = modules.find(image, &mapping).expect("room");
            assert_ne!(modules.find(other, &mapping), Some(own));
            assert_eq!(
                modules.get(own).map(|module| module.kind),
                Some(ModuleKind::Anonymous)
            );
        }
        let vdso = modules
            .slots
            .iter()
            .flatten()
            .find(|entry| entry.module.kind == ModuleKind::Vdso);
        assert_eq!(vdso.map(|entry| entry.module.path.as_str()), Some("[vdso]"));
    }
}
