//! The table of modules: each once for all processes that map it, and the unwind tables of those used last.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    sync::Arc,
};

use super::{
    Image,
    address_space::{Backing, Mapping},
    cfi::Tables,
    elf::{Elf, Segment},
    file::{FileId, FoundFile},
    frames::{Place, Rules},
    threads::{MAX_STACK, read_memory},
};
use crate::model::stack::{CodeAddress, Module, ModuleId, ModuleKind, Sighting};

/// Unwind tables in memory, bytes.
const MAX_TABLES: usize = 48 << 20;
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
                self.intern(image, mapping, identity, Some(elf))
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
        let Some(elf) = Elf::read(&found.open().ok()?) else {
            self.files.insert(found.id, Known::NotElf);
            return self.anonymous(image, mapping);
        };
        let identity = match &elf.build_id {
            Some(build_id) => Identity::Build(build_id.clone(), elf.segments.clone()),
            None => Identity::File(found.id),
        };
        let id = self.intern(image, mapping, identity, Some(elf))?;
        self.files.insert(found.id, Known::Module(id));
        Some(id)
    }

    fn anonymous(&mut self, image: Image, mapping: &Mapping) -> Option<ModuleId> {
        self.intern(image, mapping, Identity::Own(image), None)
    }

    fn intern(
        &mut self,
        image: Image,
        mapping: &Mapping,
        identity: Identity,
        elf: Option<Elf>,
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
        let Some(elf) = &entry.elf else {
            return Some(Place {
                at: CodeAddress { module: id, address },
                kind,
                rules: Rules::FramePointer,
            });
        };
        let at = elf.code_address(mapping.offset.checked_add(address - mapping.start)?)?;
        let mut grown = 0;
        if matches!(entry.tables, Loaded::NotYet) {
            match load(elf, image, mapping) {
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
            kind,
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

/// Reads the unwind tables through a mapping; nothing when there are none.
fn load(elf: &Elf, image: Image, mapping: &Mapping) -> io::Result<Option<Tables>> {
    let section = match &mapping.backing {
        Backing::File(path, inode) => {
            let file: File = FoundFile::find(image.process.pid, mapping, path, *inode)?.open()?;
            elf.unwind_section(&file)
        }
        Backing::Vdso => elf.unwind_section(&*vdso(image, mapping)?),
        Backing::Anonymous => None,
    };
    Ok(section.and_then(|section| Tables::new(section, elf.base())))
}

fn vdso(image: Image, mapping: &Mapping) -> io::Result<Vec<u8>> {
    let size = usize::try_from(mapping.end - mapping.start).unwrap_or(MAX_STACK);
    let mut bytes = vec![0; size.min(MAX_STACK)];
    let read = read_memory(image.process.pid, mapping.start, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn sighting(image: Image, mapping: &Mapping) -> Sighting {
    Sighting {
        pid: image.process.pid,
        mapping: (mapping.start, mapping.end),
    }
}

/// A path that does no harm where it is shown.
fn shown(path: &[u8]) -> String {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let path = String::from_utf8_lossy(path);
    path.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
