//! Which runtime, which version of it, and which allocator a process has: from its executable and the libraries that it
//! maps. What it is called decides nothing; names of libraries only say which of them are worth a look.
//!
//! A file is read once, whoever maps it: by device, inode and time of its last change.

mod catalog;
mod file;
mod go;
mod marks;
mod pieces;
mod versions;

use std::{
    collections::{BTreeSet, HashMap},
    fs::{File, Metadata},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

pub(crate) use self::file::Allocator;
use self::file::FileFacts;
use crate::target_file::Found;

/// Files that are remembered; then the memory starts afresh.
const MAX_FILES: usize = 4096;
/// Libraries of one process that are looked into.
const MAX_LIBRARIES: usize = 32;

/// What a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recognised {
    /// Build id of the executable, in hexadecimal digits.
    pub(crate) build_id: Option<Arc<str>>,
    /// Name of the language runtime; `None` of native code and whatever is not known.
    pub(crate) runtime: Option<&'static str>,
    /// Its version, as it says itself.
    pub(crate) runtime_version: Option<Arc<str>>,
    /// What answers `malloc`; `None` when that is not known.
    pub(crate) allocator: Option<Allocator>,
}

/// Recognises processes, and remembers their files.
#[derive(Debug, Default)]
pub(crate) struct Recogniser {
    files: HashMap<FileId, Arc<FileFacts>>,
}

/// A file with these contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file that a process maps.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Library<'a> {
    path: &'a str,
    /// First address of a mapping of it, and the one behind the last.
    mapping: (u64, u64),
}

impl Recogniser {
    /// What a process is. `maps` is its `/proc/PID/maps`.
    pub(crate) fn process(&mut self, pid: u32, maps: &str) -> Recognised {
        let executable = self.executable(pid).unwrap_or_default();
        let libraries: Vec<Arc<FileFacts>> = libraries(maps)
            .iter()
            .filter_map(|library| self.library(pid, library))
            .collect();
        let files = || libraries.iter().chain([&executable]);
        let embedded = libraries.iter().filter_map(|file| file.runtime.as_ref());
        let runtime = executable.runtime.as_ref();
        let runtime = runtime.or_else(|| embedded.min_by_key(|runtime| runtime.rank));
        let allocators: Vec<&Allocator> = files().filter_map(|file| file.allocator.as_ref()).collect();
        let mut known = catalog::ALLOCATORS.iter().map(|allocator| allocator.name);
        Recognised {
            build_id: executable.build_id.clone(),
            runtime: runtime.map(|runtime| runtime.name),
            runtime_version: runtime.and_then(|runtime| runtime.version.clone()),
            allocator: known
                .find_map(|name| allocators.iter().find(|allocator| allocator.name == name))
                .map(|allocator| (*allocator).clone()),
        }
    }

    fn executable(&mut self, pid: u32) -> Option<Arc<FileFacts>> {
        // The link itself: it opens the very file, whatever mount namespace its path is in, or even if it was deleted.
        let file = File::open(format!("/proc/{pid}/exe")).ok()?;
        let id = FileId::of(&file.metadata().ok()?);
        self.remembered(id, || Some(FileFacts::read(file, "")))
    }

    fn library(&mut self, pid: u32, library: &Library<'_>) -> Option<Arc<FileFacts>> {
        let found = Found::mapped(pid, library.mapping).ok()?;
        self.remembered(FileId::of(found.metadata()), || {
            Some(FileFacts::read(found.open().ok()?, library.path))
        })
    }

    fn remembered(&mut self, id: FileId, read: impl FnOnce() -> Option<FileFacts>) -> Option<Arc<FileFacts>> {
        if let Some(known) = self.files.get(&id) {
            return Some(Arc::clone(known));
        }
        let facts = Arc::new(read()?);
        if self.files.len() == MAX_FILES {
            self.files.clear();
        }
        self.files.insert(id, Arc::clone(&facts));
        Some(facts)
    }
}

/// Reads a file as that of a runtime; what comes of it does not matter.
#[cfg(fuzzing)]
pub(crate) fn read_file(file: File) {
    let _ = FileFacts::read(file, "/usr/lib/libpython3.11.so.1.0");
}

/// The libraries that are worth a look, each once.
fn libraries(maps: &str) -> BTreeSet<Library<'_>> {
    let mut paths = BTreeSet::new();
    let libraries = maps.lines().filter_map(|line| {
        let path = line.get(line.find('/')?..)?.trim_end_matches(" (deleted)");
        let name = path.rsplit('/').next()?;
        if !catalog::may_be_known(name) || !paths.insert(path) {
            return None;
        }
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let address = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Library {
            path,
            mapping: (address(start)?, address(end)?),
        })
    });
    libraries.take(MAX_LIBRARIES).collect()
}

#[cfg(test)]
mod tests;
