//! Reads the BPF iterators: the levels.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, File},
    hash::{Hash as _, Hasher as _},
    io::{self, Read as _},
    time::{Duration, Instant},
};

use aya::{Ebpf, maps::Array, programs::Iter};
use bytes::Bytes;
use leakwatch_common::levels::{TaskRow, VmaRow, flag};
use log::warn;

use super::error::KernelError;
use crate::{
    model::health::{ProbeHealth, ProbeState},
    raw::{RawBatch, Source},
};

/// A walk over all mappings that took `t` is not repeated for `WALK_PAUSE * t`, half a percent of a core, but within
/// `MAX_WALK_PAUSE`, so that a busy machine does not leave the reading to age.
const WALK_PAUSE: u32 = 200;
const MAX_WALK_PAUSE: Duration = Duration::from_secs(20);
/// Pause between walks while no address space changes its size.
const UNCHANGED_WALK_PAUSE: Duration = Duration::from_mins(1);

pub(super) struct Iterators {
    vmas_from_procfs: bool,
    vmas_due: Instant,
    vmas_due_anyway: Instant,
    /// Sizes of all address spaces at the last tick, and at the last walk.
    sizes: u64,
    walked_sizes: u64,
    /// Processes at the last tick, for the walk over `/proc`.
    tgids: Vec<u32>,
    largest: usize,
}

impl Iterators {
    pub(super) fn new(probes: &[ProbeHealth]) -> Self {
        let fallback = |name| {
            probes
                .iter()
                .any(|probe: &ProbeHealth| probe.name == name && probe.state != ProbeState::Attached)
        };
        let now = Instant::now();
        Self {
            vmas_from_procfs: fallback("vmas"),
            vmas_due: now,
            vmas_due_anyway: now,
            sizes: 0,
            walked_sizes: 0,
            tgids: Vec::new(),
            largest: 0,
        }
    }

    /// Every process.
    pub(super) fn tasks(&mut self, ebpf: &mut Ebpf) -> Result<RawBatch, KernelError> {
        let mut bytes = Vec::with_capacity(self.largest + self.largest / 8);
        read(ebpf, "tasks", &mut bytes).map_err(|source| KernelError::Iterator {
            program: "tasks",
            source,
        })?;
        self.largest = self.largest.max(bytes.len());
        let mut sizes = DefaultHasher::new();
        for row in bytes.chunks_exact_mut(size_of::<TaskRow>()) {
            count_large_table(row);
            let row: TaskRow = bytemuck::pod_read_unaligned(row);
            (row.tgid, row.start_boottime_ns, row.total_vm_bytes, row.map_count).hash(&mut sizes);
        }
        self.sizes = sizes.finish();
        if self.vmas_from_procfs {
            self.tgids = bytes
                .chunks_exact(size_of::<TaskRow>())
                .map(|row| bytemuck::pod_read_unaligned::<TaskRow>(row).tgid)
                .collect();
        }
        Ok(RawBatch {
            source: Source::Tasks,
            bytes: Bytes::from(bytes),
        })
    }

    /// Where the threads of one process wait; `None` when that failed.
    pub(super) fn threads(ebpf: &mut Ebpf, tgid: u32) -> Option<RawBatch> {
        let mut bytes = Vec::new();
        match want_threads_of(ebpf, tgid).and_then(|()| read(ebpf, "threads", &mut bytes)) {
            Ok(()) => Some(RawBatch {
                source: Source::Threads,
                bytes: Bytes::from(bytes),
            }),
            Err(error) => {
                warn!("threads of process {tgid} could not be read: {error}");
                None
            }
        }
    }

    /// Every open descriptor; `None` when that failed, which shows as unknown kinds.
    pub(super) fn files(ebpf: &mut Ebpf) -> Option<RawBatch> {
        let mut bytes = Vec::new();
        match read(ebpf, "files", &mut bytes) {
            Ok(()) => Some(RawBatch {
                source: Source::Files,
                bytes: Bytes::from(bytes),
            }),
            Err(error) => {
                warn!("descriptors by kind could not be read: {error}");
                None
            }
        }
    }

    /// Every anonymous mapping, when it is time for that or somebody looks `closely`.
    pub(super) fn vmas(&mut self, ebpf: &mut Ebpf, closely: bool) -> Option<RawBatch> {
        let started = Instant::now();
        // Nothing was mapped or unmapped since the last walk, unless two changes hide each other: so walk now and then.
        let unchanged = self.sizes == self.walked_sizes && started < self.vmas_due_anyway;
        if !closely && (unchanged || started < self.vmas_due) {
            return None;
        }
        let mut bytes = Vec::new();
        if self.vmas_from_procfs {
            for &tgid in &self.tgids {
                anonymous_mappings(tgid, &mut bytes);
            }
        } else if let Err(error) = read(ebpf, "vmas", &mut bytes) {
            warn!("mappings could not be read: {error}");
            return None;
        }
        let pause = (started.elapsed() * WALK_PAUSE).min(MAX_WALK_PAUSE);
        self.vmas_due = Instant::now() + pause;
        self.vmas_due_anyway = Instant::now() + UNCHANGED_WALK_PAUSE;
        self.walked_sizes = self.sizes;
        Some(RawBatch {
            source: Source::Vmas,
            bytes: Bytes::from(bytes),
        })
    }
}

fn want_threads_of(ebpf: &mut Ebpf, tgid: u32) -> io::Result<()> {
    let map = ebpf
        .map_mut("THREADS_OF")
        .ok_or_else(|| io::Error::other("no map THREADS_OF"))?;
    Array::<_, u32>::try_from(map)
        .and_then(|mut wanted| wanted.set(0, tgid, 0))
        .map_err(io::Error::other)
}

fn read(ebpf: &mut Ebpf, program: &'static str, into: &mut Vec<u8>) -> io::Result<()> {
    let mut file = open(ebpf, program).map_err(io::Error::other)?;
    let mut chunk = vec![0; 32 * 1024];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(len) => into.extend_from_slice(&chunk[..len]),
            // The kernel shows at most a million elements in one read (kernel/bpf/bpf_iter.c) and goes on in the next.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A fresh reader: an iterator cannot be rewound.
fn open(ebpf: &mut Ebpf, program: &'static str) -> Result<File, KernelError> {
    let call = |source| KernelError::ProgramCall { program, source };
    let iterator: &mut Iter = ebpf
        .program_mut(program)
        .ok_or(KernelError::Program(program))?
        .try_into()
        .map_err(|_| KernelError::Program(program))?;
    let link = iterator.attach().map_err(call)?;
    let link = iterator.take_link(link).map_err(call)?;
    link.into_file().map_err(|source| KernelError::Io {
        what: "open of an iterator",
        source: io::Error::other(source),
    })
}

/// Counts the descriptors of a table that the iterator could not walk to its end.
fn count_large_table(bytes: &mut [u8]) {
    let mut row: TaskRow = bytemuck::pod_read_unaligned(bytes);
    if row.flags & flag::FDS_TRUNCATED == 0 {
        return;
    }
    let directory = format!("/proc/{}/fd", row.tgid);
    // From 6.2 on the size of the directory is the number of descriptors; before, it is 0 (fs/proc/fd.c).
    let size = fs::metadata(&directory)
        .map(|metadata| metadata.len())
        .ok()
        .filter(|&size| size > 0);
    let count = size.or_else(|| {
        fs::read_dir(&directory)
            .ok()
            .map(|entries| entries.count() as u64)
    });
    if let Some(count) = count {
        row.fds = u32::try_from(count).unwrap_or(u32::MAX);
        row.flags &= !flag::FDS_TRUNCATED;
        bytes.copy_from_slice(bytemuck::bytes_of(&row));
    }
}

/// `/proc/PID/maps`; of another thread when the leader has exited, whose own is empty then.
fn maps_of(tgid: u32) -> Option<Vec<u8>> {
    let maps = fs::read(format!("/proc/{tgid}/maps")).ok()?;
    if !maps.is_empty() {
        return Some(maps);
    }
    let threads = fs::read_dir(format!("/proc/{tgid}/task")).ok()?;
    let mut maps = threads
        .flatten()
        .filter_map(|thread| fs::read(thread.path().join("maps")).ok());
    maps.find(|maps| !maps.is_empty())
}

/// What `iter/task_vma` would write; nothing for a process that is gone.
fn anonymous_mappings(tgid: u32, into: &mut Vec<u8>) {
    let Some(maps) = maps_of(tgid) else {
        return;
    };
    for line in maps.split(|&byte| byte == b'\n') {
        if let Some((start, len)) = anonymous(line) {
            let row = VmaRow {
                start,
                len,
                tgid,
                reserved: 0,
            };
            into.extend_from_slice(bytemuck::bytes_of(&row));
        }
    }
}

/// Start and length of an anonymous mapping; `None` for any other line. Special mappings have a name in brackets but are neither
/// heap nor stack nor named by `PR_SET_VMA`.
fn anonymous(line: &[u8]) -> Option<(u64, u64)> {
    let line = str::from_utf8(line).ok()?;
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let inode = fields.nth(3)?;
    let name = fields.next().unwrap_or("");
    if inode != "0"
        || !(name.is_empty() || name == "[heap]" || name == "[stack]" || name.starts_with("[anon"))
    {
        return None;
    }
    let (start, end) = (
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
    );
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::anonymous;

    #[test]
    fn only_anonymous_lines_count() {
        let len = |line: &str| anonymous(line.as_bytes()).map(|(_, len)| len);
        assert_eq!(
            len("7f0000000000-7f0000002000 rw-p 00000000 00:00 0 "),
            Some(0x2000)
        );
        assert_eq!(
            len("55d0-55e0 rw-p 00000000 00:00 0                 [heap]"),
            Some(0x10)
        );
        assert_eq!(
            len("1000-3000 ---p 00000000 00:00 0  [anon: glibc: arena]"),
            Some(0x2000)
        );
        assert_eq!(
            len("7fff0000-7fff2000 r-xp 00000000 00:00 0                  [vdso]"),
            None
        );
        assert_eq!(
            len("1000-3000 rw-s 00000000 00:01 4096  /dev/zero (deleted)"),
            None
        );
        assert_eq!(len(""), None);
    }
}
