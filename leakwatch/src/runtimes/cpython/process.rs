//! CPython in one process: which version, and where its state begins.

use leakwatch_common::{
    interpreter::{Interpreter, Search},
    settings::ABSENT,
};

use super::{
    debug_offsets::{self, DebugOffsets},
    layout::{self, Layout},
};
use crate::runtimes::{
    Unknown,
    binary::Binary,
    memory::Memory,
    target::{Mapping, Target},
    thread_local,
};

/// Interpreters of one process, and threads of all of them, that are looked at.
pub(super) const MAX_INTERPRETERS: usize = 1024;
pub(super) const MAX_THREADS: usize = 64 << 10;

/// `PyObject.ob_type`
const TYPE: u64 = 8;
/// Threads that are held against each other to see where each keeps a pointer to its state.
const MAX_COMPARED: usize = 16;

/// A process that runs CPython, of a version whose layout is known.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) layout: Layout,
    /// Address of `_PyRuntime`.
    pub(super) runtime: u64,
    /// Address of `PyCode_Type`.
    pub(super) code_type: u64,
    /// Address of `PyType_Type`.
    pub(super) type_type: u64,
    /// An address in its code.
    pub(super) code: u64,
}

/// A thread's state: its address, and what `pthread_self` says in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) state: u64,
    pub(super) id: u64,
}

/// What there is of CPython in a process, whether it can be read or not.
pub(super) struct Found {
    /// `3.11.2`, or `3.8` when it says no more.
    pub(super) version: Option<String>,
    pub(super) process: Result<Process, Unknown>,
}

impl Process {
    /// `None` when there is no CPython in this process.
    pub(super) fn find(target: &Target, memory: &mut Memory) -> Option<Found> {
        let (mapping, binary) = binary(target)?;
        let version = version(target, mapping, &binary, memory);
        let process = Self::of_version(version, target, mapping, &binary, memory).and_then(|process| {
            process.check(memory)?;
            Ok(process)
        });
        Some(Found {
            version: version.map(Version::shown),
            process,
        })
    }

    fn of_version(
        version: Option<Version>,
        target: &Target,
        mapping: &Mapping,
        binary: &Binary,
        memory: &mut Memory,
    ) -> Result<Self, Unknown> {
        let version = version.ok_or(Unknown::NotKept("its version cannot be told from its files"))?;
        let unknown = || Unknown::Version(format!("CPython {}", version.shown()));
        let mut layout = (version.major == 3)
            .then(|| layout::of(version.minor))
            .flatten()
            .ok_or_else(unknown)?;
        let symbol = |name| {
            let symbol = binary.symbol(name).map(|symbol| symbol.address);
            symbol.ok_or(Unknown::Layout("a symbol is missing"))
        };
        let runtime = symbol("_PyRuntime")?;
        if layout.minor >= debug_offsets::FIRST_MINOR {
            let offsets = DebugOffsets::read(memory, runtime)?;
            if offsets.is_free_threaded() {
                return Err(Unknown::Version(format!(
                    "CPython {} without a global lock",
                    version.shown()
                )));
            }
            layout = offsets.correct(layout)?;
        }
        Ok(Self {
            layout,
            runtime,
            code_type: symbol("PyCode_Type")?,
            type_type: symbol("PyType_Type")?,
            code: target.code_of(mapping)?,
        })
    }

    /// Holds it against what must be so once it runs.
    fn check(&self, memory: &mut Memory) -> Result<(), Unknown> {
        for object in [self.type_type, self.code_type] {
            if type_of(memory, object) != Some(self.type_type) {
                return Err(Unknown::Layout("a type is not of type `type`"));
            }
        }
        let interpreters = self.interpreters(memory);
        if interpreters.is_empty() {
            return Err(Unknown::NotKept("it has not started yet"));
        }
        for (interpreter, threads) in self.threads(memory, interpreters) {
            // The oldest: of those that come and go some are gone before they are looked at.
            let oldest = threads.iter().rev().take(MAX_COMPARED);
            let at = u64::from(self.layout.thread.interpreter);
            let owners: Vec<u64> = oldest
                .filter_map(|thread| memory.value(thread.state.wrapping_add(at)).ok())
                .collect();
            if !owners.is_empty() && !owners.contains(&interpreter) {
                return Err(Unknown::Layout("no thread is of its interpreter"));
            }
        }
        Ok(())
    }

    /// Every interpreter.
    pub(super) fn interpreters(&self, memory: &mut Memory) -> Vec<u64> {
        let head = self.runtime + self.layout.runtime.interpreters_head;
        let next = u64::from(self.layout.interpreter.next);
        list(memory, head, next, MAX_INTERPRETERS)
    }

    /// The threads of each of `interpreters`, the newest first. The bound is on all of them together: lists that lead to each
    /// other, or to themselves, cost no more than one.
    pub(super) fn threads(&self, memory: &mut Memory, interpreters: Vec<u64>) -> Vec<(u64, Vec<Thread>)> {
        let mut left = MAX_THREADS;
        let with_threads = |interpreter: u64| {
            let states = self.thread_states(memory, interpreter, left);
            left -= states.len();
            let id = u64::from(self.layout.thread.thread_id);
            let thread = |state: u64| {
                let id = memory.value(state.wrapping_add(id)).ok()?;
                Some(Thread { state, id })
            };
            (interpreter, states.into_iter().filter_map(thread).collect())
        };
        interpreters.into_iter().map(with_threads).collect()
    }

    fn thread_states(&self, memory: &mut Memory, interpreter: u64, limit: usize) -> Vec<u64> {
        let head = interpreter.wrapping_add(u64::from(self.layout.interpreter.threads_head));
        list(memory, head, u64::from(self.layout.thread.next), limit)
    }

    /// How the probes find its frames.
    pub(super) fn frames(&self, memory: &mut Memory) -> Interpreter {
        let Layout {
            runtime,
            interpreter,
            thread,
            frame,
            ..
        } = &self.layout;
        Interpreter {
            root: self.runtime + runtime.interpreters_head,
            search: Search::Threads as u32,
            group_next: interpreter.next,
            group_threads: interpreter.threads_head,
            thread_next: thread.next,
            thread_id: thread.thread_id,
            // x86-64 has the description of a thread where the thread pointer leads to; elsewhere it lies below.
            thread_id_below: if cfg!(target_arch = "x86_64") { 0 } else { 4096 },
            thread_local: self.thread_local(memory),
            frame: thread.frame,
            frame_behind: thread.frame_behind.unwrap_or(ABSENT),
            frame_previous: frame.previous,
            frame_code: frame.code,
            frame_position: frame.position,
            ..Interpreter::default()
        }
    }

    /// At which distance from its thread pointer each thread keeps a pointer to its state: CPython keeps one in a
    /// thread-specific datum (`autoTSSkey`), and later in a thread-local variable. Where that is, is the C library's business,
    /// so it is seen from threads that are there. 0 when it is not seen.
    fn thread_local(&self, memory: &mut Memory) -> i32 {
        if !cfg!(target_arch = "x86_64") {
            return 0;
        }
        let interpreters = self.interpreters(memory);
        let mut threads = Vec::new();
        for (_, of_one) in self.threads(memory, interpreters) {
            threads.extend(of_one.into_iter().rev().take(MAX_COMPARED));
        }
        let mut seen: Option<Vec<i32>> = None;
        for thread in threads.iter().take(MAX_COMPARED) {
            let here = thread_local::distances(memory, thread.id, thread.state);
            match &mut seen {
                None => seen = Some(here),
                Some(seen) => seen.retain(|distance| here.contains(distance)),
            }
        }
        // Thread-specific data are above, and keep their value while the thread waits.
        let seen = seen.unwrap_or_default();
        let above = seen.iter().find(|distance| **distance > 0);
        above.or(seen.first()).copied().unwrap_or(0)
    }
}

/// The type of an object; `None` when there is no object.
pub(super) fn type_of(memory: &mut Memory, object: u64) -> Option<u64> {
    memory.value(object.wrapping_add(TYPE)).ok()
}

/// The elements of a list: `head` is the address of the pointer to the first one.
fn list(memory: &mut Memory, head: u64, next: u64, limit: usize) -> Vec<u64> {
    let mut elements: Vec<u64> = Vec::new();
    let mut link = head;
    while elements.len() < limit {
        match memory.value(link) {
            Ok(element) if element != 0 => {
                elements.push(element);
                link = element.wrapping_add(next);
            }
            _ => break,
        }
    }
    elements
}

/// The file that has `_PyRuntime`: libpython, else the executable.
fn binary(target: &Target) -> Option<(&Mapping, Binary)> {
    if let Some(library) = target.mapped_file(|name| name.starts_with("libpython") && name.contains(".so")) {
        return Some((library, target.binary(library).ok()?));
    }
    let mapping = target.executable_mapping().ok()?;
    let binary = target.binary(mapping).ok()?;
    binary.symbol("_PyRuntime").is_some().then_some((mapping, binary))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    major: u32,
    minor: u32,
    patch: Option<u32>,
}

impl Version {
    fn shown(self) -> String {
        let Self { major, minor, patch } = self;
        match patch {
            Some(patch) => format!("{major}.{minor}.{patch}"),
            None => format!("{major}.{minor}"),
        }
    }
}

/// `Py_Version` says it since 3.11 (Include/patchlevel.h: a byte each for major, minor, patch, level); before, the name of its
/// file does, or the directory of its library.
fn version(target: &Target, mapping: &Mapping, binary: &Binary, memory: &mut Memory) -> Option<Version> {
    if let Some(symbol) = binary.symbol("Py_Version")
        && let Ok(value) = memory.value::<u64>(symbol.address)
    {
        let byte = |shift: u32| u32::try_from(value >> shift & 0xff).unwrap_or(0);
        return Some(Version {
            major: byte(24),
            minor: byte(16),
            patch: Some(byte(8)),
        });
    }
    let of_file = after(mapping.file_name(), "python");
    let mut names = target.mappings().iter().map(|mapping| mapping.name.as_str());
    of_file.or_else(|| names.find_map(|name| after(name, "/python")))
}

/// The version that follows a word: `libpython3.8.so.1.0`, `/usr/lib/python3.9/lib-dynload`.
fn after(text: &str, word: &str) -> Option<Version> {
    text.match_indices(word).find_map(|(at, _)| {
        let mut parts = text[at + word.len()..].split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some(Version {
            major,
            minor: minor[..digits].parse().ok()?,
            patch: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        let shown = |text, word| after(text, word).map(Version::shown);
        assert_eq!(shown("libpython3.8.so.1.0", "python"), Some("3.8".to_owned()));
        assert_eq!(shown("libpython3.6m.so.1.0", "python"), Some("3.6".to_owned()));
        assert_eq!(shown("python3.10", "python"), Some("3.10".to_owned()));
        assert_eq!(
            shown("/opt/python/lib/python3.9/lib-dynload/_json.so", "/python"),
            Some("3.9".to_owned())
        );
        for none in ["python", "python3", "libpython", "python3.", "pythonx.y"] {
            assert_eq!(shown(none, "python"), None, "{none}");
        }
    }

    #[test]
    fn lists_that_never_end_are_ended() {
        let mut ring = [0_u64; 2];
        ring[0] = &raw const ring[1] as u64;
        ring[1] = &raw const ring[1] as u64;
        let mut memory = Memory::of_process(std::process::id());
        assert_eq!(list(&mut memory, &raw const ring[0] as u64, 0, 100).len(), 100);
        let broken = [8_u64];
        assert_eq!(list(&mut memory, broken.as_ptr() as u64, 0, 100), [8]);
        assert!(list(&mut memory, 8, 0, 100).is_empty());
    }

    #[test]
    fn interpreters_that_lead_to_each_other_have_no_more_threads_than_one() {
        let mut words = [0_u64; 1024];
        let start = words.as_ptr() as u64;
        words.fill(start);
        let process = Process {
            layout: layout::of(12).expect("known"),
            runtime: start,
            code_type: start,
            type_type: start,
            code: start,
        };
        let mut memory = Memory::of_process(std::process::id());
        let interpreters = process.interpreters(&mut memory);
        assert_eq!(interpreters.len(), MAX_INTERPRETERS);
        let threads = process.threads(&mut memory, interpreters);
        let count: usize = threads.iter().map(|(_, threads)| threads.len()).sum();
        assert_eq!((threads.len(), count), (MAX_INTERPRETERS, MAX_THREADS));
    }
}
