//! The process that is read: what it maps, from which files, and who it is in its own namespaces.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Seek as _},
    os::unix::fs::FileExt as _,
};

use super::{Unknown, binary::Binary};
use crate::{
    model::{identity::ProcessId, sanitize},
    process_maps::{self, MapsLine},
    process_stat,
    recognise::{Allocator, Recognised, Recogniser},
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
    /// Memory that may be written and belongs to no file.
    #[cfg(any(test, fuzzing))]
    pub(super) fn anonymous(start: u64, end: u64, name: &str) -> Self {
        Self {
            start,
            end,
            readable: true,
            writable: true,
            executable: false,
            offset: 0,
            inode: 0,
            name: name.to_owned(),
        }
    }

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
    /// Of the address space that it had when this was opened, whatever becomes of the process and its pid: the kernel holds
    /// on to that, and shows nothing once its last user is gone.
    maps: File,
    mappings: Vec<Mapping>,
    recognised: Recognised,
}

impl Target {
    /// Reads what it maps.
    ///
    /// # Errors
    /// When it is gone, is another one by now, or may not be read.
    pub(super) fn open(process: ProcessId) -> io::Result<Self> {
        let maps = File::open(format!("/proc/{}/maps", process.pid))?;
        let mappings = parse(&maps)?;
        if mappings.is_empty() || !process_stat::is_alive(process) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            process,
            maps,
            mappings,
            recognised: Recognised::default(),
        })
    }

    /// Finds out what runs in it, and what answers its `malloc`.
    pub(super) fn recognise(&mut self, recogniser: &mut Recogniser) {
        let pid = self.process.pid;
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        self.recognised = recogniser.process(pid, &String::from_utf8_lossy(&maps));
    }

    /// What answers its `malloc`; `None` when that is not known.
    pub(super) fn allocator(&self) -> Option<&Allocator> {
        self.recognised.allocator.as_ref()
    }

    /// What is known of the series (`8.2`) that the version of its runtime is of.
    ///
    /// # Errors
    /// When nothing is.
    pub(super) fn of_series<'a, T>(&self, name: &str, known: &'a [(&str, T)]) -> Result<&'a T, Unknown> {
        let version = self.recognised.runtime_version.as_deref();
        let version = version.ok_or(Unknown::NotKept("its version cannot be told from its files"))?;
        let is_of = |series: &str| {
            let rest = version.strip_prefix(series);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let found = known.iter().find(|(series, _)| is_of(series));
        found
            .map(|(_, known)| known)
            .ok_or_else(|| Unknown::Version(format!("{name} {version}")))
    }

    pub(super) fn process(&self) -> ProcessId {
        self.process
    }

    /// Whether the memory that was read is still there: the process has neither ended, nor become another program.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.maps.read_at(&mut [0], 0), Ok(1))
    }

    /// What it maps, in ascending order.
    pub(super) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Where the mapping that begins there ends by now; `None` when none begins there any more.
    pub(super) fn ends_now(&self, start: u64) -> Option<u64> {
        (&self.maps).rewind().ok()?;
        let mappings = parse(&self.maps).ok()?;
        let it = mappings.iter().find(|mapping| mapping.start == start)?;
        Some(it.end)
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

    /// The file that defines a symbol: the executable, or a library whose name begins so.
    pub(super) fn definer(&self, symbol: &str, library: &str) -> Option<(&Mapping, Binary)> {
        let is_library = |name: &str| name.starts_with(library) && name.contains(".so");
        let files = [self.executable_mapping().ok(), self.mapped_file(is_library)];
        files.into_iter().flatten().find_map(|mapping| {
            let binary = self.binary(mapping).ok()?;
            binary.symbol(symbol).is_some().then_some((mapping, binary))
        })
    }

    /// An address in the code of the file that is mapped there.
    ///
    /// # Errors
    /// When none of its code is mapped.
    pub(super) fn code_of(&self, mapping: &Mapping) -> Result<u64, Unknown> {
        let is_code = |other: &&Mapping| {
            other.executable && (other.inode, &other.name) == (mapping.inode, &mapping.name)
        };
        let code = self.mappings.iter().find(is_code);
        Ok(code.ok_or(Unknown::Layout("none of its code is mapped"))?.start)
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
    use std::{
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn this_process_is_read() {
        let target = Target::open(process_stat::own()).expect("alive");
        assert!(target.is_there());
        let on_stack = 0_u8;
        let stack = target.mapping(&raw const on_stack as u64).expect("mapped");
        let code = target.executable_mapping().expect("mapped");
        for _ in 0..2 {
            assert_eq!(target.ends_now(code.start), Some(code.end));
            assert_eq!(target.ends_now(code.start + 1), None);
        }
        assert!(stack.writable && stack.is_anonymous());
        let binary = target.executable().expect("readable");
        assert!(binary.section(".text").is_some());
        assert!(target.mapped_file(|name| name.starts_with("libc.so")).is_some());
    }

    #[test]
    fn a_process_that_ends_or_becomes_another_program_is_not_there() {
        let mut child = Command::new("sh")
            .args(["-c", "read -r _; exec sleep 600"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let process = process_stat::of(child.id()).expect("alive");
        let ends = |target: &Target| {
            let until = Instant::now() + Duration::from_secs(30);
            while target.is_there() {
                assert!(Instant::now() < until, "it is still there");
                thread::sleep(Duration::from_millis(5));
            }
        };
        let before = Target::open(process).expect("alive");
        assert!(before.is_there());
        drop(child.stdin.take());
        ends(&before);
        let after = Target::open(process).expect("alive");
        assert!(after.is_there() && !before.is_there());
        child.kill().expect("it is ours");
        // Not waited for: its pid and its start are still those that they were.
        ends(&after);
        child.wait().expect("it is ours");
        assert!(!after.is_there());
    }

    #[test]
    fn versions_are_of_a_series() {
        let mut target = Target::open(process_stat::own()).expect("alive");
        let known = [("8.2", 'a'), ("8", 'b')];
        let mut of = |version: Option<&str>| {
            target.recognised.runtime_version = version.map(Into::into);
            target.of_series("PHP", &known).ok().copied()
        };
        assert_eq!(of(Some("8.2.36")), Some('a'));
        assert_eq!(of(Some("8.2")), Some('a'));
        assert_eq!(of(Some("8.20.1")), Some('b'));
        assert_eq!(of(Some("18.2.1")), None);
        assert_eq!(of(None), None);
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
