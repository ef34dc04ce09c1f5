//! The process that is read: what it maps, from which files, and who it is in its own namespaces.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
};

use super::binary::Binary;
use crate::{
    model::{identity::ProcessId, sanitize},
    process_maps::{self, MapsLine},
    process_stat,
    recognise::{Allocator, Recogniser},
    target_file::Found,
};

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) executable: bool,
    /// Offset of the first byte in the file.
    pub(super) offset: u64,
    pub(super) inode: u64,
    /// Path as the kernel shows it, `[heap]`, `[stack]`, or empty; control characters are replaced.
    pub(super) name: String,
}

impl Mapping {
    /// File name without the directory; empty for what is no file.
    pub(super) fn file_name(&self) -> &str {
        let is_file = self.name.starts_with('/');
        let name = self.name.trim_end_matches(" (deleted)");
        name.rsplit('/').next().filter(|_| is_file).unwrap_or_default()
    }

    /// Memory that belongs to no file.
    pub(super) fn is_anonymous(&self) -> bool {
        self.inode == 0
    }

    pub(super) fn size(&self) -> u64 {
        self.end - self.start
    }
}

/// A process, as it was when it was opened.
pub(super) struct Target {
    process: ProcessId,
    mappings: Vec<Mapping>,
    allocator: Option<Allocator>,
}

impl Target {
    /// Reads what it maps.
    ///
    /// # Errors
    /// When it is gone, is another one by now, or may not be read.
    pub(super) fn open(process: ProcessId) -> io::Result<Self> {
        let mappings = parse(File::open(format!("/proc/{}/maps", process.pid))?)?;
        if mappings.is_empty() || !process_stat::is_alive(process) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            process,
            mappings,
            allocator: None,
        })
    }

    /// Finds out what answers its `malloc`.
    pub(super) fn recognise(&mut self, recogniser: &mut Recogniser) {
        let pid = self.process.pid;
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        self.allocator = recogniser.process(pid, &String::from_utf8_lossy(&maps)).allocator;
    }

    /// What answers its `malloc`; `None` when that is not known.
    pub(super) fn allocator(&self) -> Option<&Allocator> {
        self.allocator.as_ref()
    }

    pub(super) fn process(&self) -> ProcessId {
        self.process
    }

    /// Whether it still is.
    pub(super) fn is_alive(&self) -> bool {
        process_stat::is_alive(self.process)
    }

    /// What it maps, in ascending order.
    pub(super) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The mapping of an address.
    pub(super) fn mapping(&self, address: u64) -> Option<&Mapping> {
        let index = self.mappings.partition_point(|mapping| mapping.end <= address);
        self.mappings
            .get(index)
            .filter(|mapping| mapping.start <= address)
    }

    /// The first file that it maps whose name, without the directory, fits.
    pub(super) fn mapped_file(&self, fits: impl Fn(&str) -> bool) -> Option<&Mapping> {
        let mut files = self.mappings.iter().filter(|mapping| !mapping.is_anonymous());
        files.find(|mapping| fits(mapping.file_name()))
    }

    /// The file behind a mapping, with its symbols as addresses in this process.
    ///
    /// # Errors
    /// When it cannot be read, or is no ELF file.
    pub(super) fn binary(&self, mapping: &Mapping) -> io::Result<Binary> {
        let file = Found::mapped(self.process.pid, (mapping.start, mapping.end))?.open()?;
        let of_file = self.mappings.iter().filter(|other| {
            (other.inode, &other.name) == (mapping.inode, &mapping.name) && !other.is_anonymous()
        });
        Binary::read(file, &of_file.cloned().collect::<Vec<_>>())
    }

    /// The executable.
    ///
    /// # Errors
    /// As of [`Self::binary`].
    pub(super) fn executable(&self) -> io::Result<Binary> {
        self.binary(self.executable_mapping()?)
    }

    /// The first mapping of the executable.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn executable_mapping(&self) -> io::Result<&Mapping> {
        let link = fs::read_link(format!("/proc/{}/exe", self.process.pid))?;
        let name = sanitize::text(std::os::unix::ffi::OsStrExt::as_bytes(link.as_os_str()));
        let mapping = self.mappings.iter().find(|mapping| mapping.name == name);
        mapping.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Its threads: ids in the initial PID namespace, and names with control characters replaced.
    pub(super) fn threads(&self) -> Vec<(u32, String)> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.process.pid)) else {
            return Vec::new();
        };
        tasks
            .filter_map(|task| {
                let task = task.ok()?;
                let name = fs::read(task.path().join("comm")).ok()?;
                let tid = task.file_name().to_str()?.parse().ok()?;
                Some((tid, sanitize::text(name.strip_suffix(b"\n").unwrap_or(&name))))
            })
            .collect()
    }
}

fn parse(maps: impl io::Read) -> io::Result<Vec<Mapping>> {
    let mut reader = BufReader::with_capacity(64 << 10, maps.take(process_maps::MAX_BYTES));
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(mappings);
        }
        // The kernel lists them in order; if mappings change while it does, one may show twice.
        if let Some(mapping) = mapping(line.trim_ascii_end())
            && mappings.last().is_none_or(|last| last.end <= mapping.start)
        {
            mappings.push(mapping);
        }
    }
}

fn mapping(line: &[u8]) -> Option<Mapping> {
    let line = MapsLine::parse(line)?;
    Some(Mapping {
        start: line.start,
        end: line.end,
        readable: line.readable,
        writable: line.writable,
        executable: line.executable,
        offset: line.offset,
        inode: line.inode,
        name: sanitize::text(line.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let target = Target::open(process_stat::own()).expect("alive");
        assert!(target.is_alive());
        let on_stack = 0_u8;
        let stack = target.mapping(&raw const on_stack as u64).expect("mapped");
        assert!(stack.writable && stack.is_anonymous());
        let binary = target.executable().expect("readable");
        assert!(binary.section(".text").is_some());
        assert!(target.mapped_file(|name| name.starts_with("libc.so")).is_some());
    }

    #[test]
    fn lines_of_maps() {
        let line = b"7f0a-7f0c r-xp 0001a000 08:01 1234   /usr/lib/a b\x1b.so (deleted)";
        let mapping = mapping(line).expect("one");
        assert_eq!(
            (mapping.start, mapping.offset, mapping.inode),
            (0x7f0a, 0x1a000, 1234)
        );
        assert!(mapping.readable && !mapping.writable && mapping.executable);
        assert_eq!(mapping.file_name(), "a b\u{fffd}.so");
        for broken in [&b""[..], b"-", b"2-1 r 0 0 0", b"x-y rwxp 0 0:0 0", b"1-2 rwxp"] {
            assert_eq!(super::mapping(broken), None);
        }
    }
}
