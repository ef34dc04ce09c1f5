//! Where a process has code: the executable mappings of `/proc/PID/maps`.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    model::stack::ModuleId,
    process_maps::{self, MapsLine},
};

/// Most executable mappings of a process that are kept.
const MAX_MAPPINGS: usize = 16 << 10;
/// A process is read again at most this often, unless [`Hurry`] allows it, and never for more than a hundredth of the time.
const MIN_AGE: Duration = Duration::from_secs(1);
const REST_PER_READ: u32 = 100;

/// What is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// A file: its path as the kernel shows it, and its inode.
    File(Arc<[u8]>, u64),
    Vdso,
    Anonymous,
}

/// What became of the look for the module behind a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    NotYet,
    Module(ModuleId),
    /// The file could not be opened.
    Nothing,
}

/// An executable mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Offset of the first byte in the file.
    pub(super) offset: u64,
    pub(super) backing: Backing,
    pub(super) found: Found,
}

/// Reading processes again before [`MIN_AGE`] has passed, because the memory of JIT compilers grows while they run: all
/// processes together for a hundredth of the time. What is no address in code asks for it as well.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    /// Not before.
    rest_until: Option<Instant>,
}

/// The executable mappings of a process, when they were read last.
#[derive(Debug)]
pub(super) struct AddressSpace {
    /// Sorted; do not overlap.
    mappings: Vec<Mapping>,
    /// When they were read.
    read_at: Instant,
    /// Not read again for so long.
    rest: Duration,
    /// When a stack of it was last unwound, in stacks unwound before.
    pub(super) last_used: u64,
    /// Whether its files were searched for a runtime that makes code.
    pub(super) searched: bool,
}

impl AddressSpace {
    /// Reads them. An error, or nothing mapped, means that the process is gone.
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let start = Instant::now();
        let mappings = parse(File::open(format!("/proc/{pid}/maps"))?)?;
        if mappings.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let read_at = Instant::now();
        Ok(Self {
            mappings,
            read_at,
            rest: (read_at - start) * REST_PER_READ,
            last_used: 0,
            searched: false,
        })
    }

    /// Reads again, unless that was done too recently. What was found stays found where nothing changed.
    pub(super) fn refresh(&mut self, pid: u32, hurry: &mut Hurry) -> bool {
        let now = Instant::now();
        let age = now - self.read_at;
        let is_early = age < MIN_AGE;
        if age < self.rest || is_early && hurry.rest_until.is_some_and(|rest_until| now < rest_until) {
            return false;
        }
        let Ok(mut new) = Self::read(pid) else {
            self.read_at = Instant::now();
            self.rest = MIN_AGE;
            return false;
        };
        if is_early {
            hurry.rest_until = Some(new.read_at + new.rest);
        }
        for mapping in &mut new.mappings {
            if let Some(old) = self.index(mapping.start).map(|index| &self.mappings[index])
                && (old.start, old.offset, &old.backing) == (mapping.start, mapping.offset, &mapping.backing)
                && matches!(old.found, Found::Module(_))
            {
                mapping.found = old.found;
            }
        }
        new.last_used = self.last_used;
        *self = new;
        true
    }

    /// The mapping of an address.
    pub(super) fn mapping(&mut self, address: u64) -> Option<&mut Mapping> {
        let index = self.index(address)?;
        self.mappings.get_mut(index)
    }

    pub(super) fn mappings_mut(&mut self) -> &mut [Mapping] {
        &mut self.mappings
    }

    pub(super) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Memory that it takes, bytes.
    pub(super) fn size(&self) -> usize {
        let mut last: Option<&Arc<[u8]>> = None;
        let mut paths = 0;
        for mapping in &self.mappings {
            if let Backing::File(path, _) = &mapping.backing {
                paths += if last.is_some_and(|last| Arc::ptr_eq(last, path)) {
                    0
                } else {
                    path.len()
                };
                last = Some(path);
            }
        }
        self.mappings.capacity() * size_of::<Mapping>() + paths
    }

    fn index(&self, address: u64) -> Option<usize> {
        let index = self.mappings.partition_point(|mapping| mapping.end <= address);
        (self.mappings.get(index)?.start <= address).then_some(index)
    }
}

fn parse(maps: impl io::Read) -> io::Result<Vec<Mapping>> {
    let mut reader = BufReader::with_capacity(64 << 10, maps.take(process_maps::MAX_BYTES));
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut line = Vec::new();
    while mappings.len() < MAX_MAPPINGS {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(mut mapping) = mapping(line.trim_ascii_end()) else {
            continue;
        };
        let last = mappings.last();
        // The kernel lists them in order; if mappings change while it does, one may show twice.
        if last.is_some_and(|last| mapping.start < last.end) {
            continue;
        }
        if let (Some(last), Backing::File(path, _)) = (last, &mut mapping.backing)
            && let Backing::File(last, _) = &last.backing
            && *last == *path
        {
            *path = Arc::clone(last);
        }
        mappings.push(mapping);
    }
    mappings.shrink_to_fit();
    Ok(mappings)
}

/// If it is executable.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let line = MapsLine::parse(line)?;
    line.executable.then(|| Mapping {
        start: line.start,
        end: line.end,
        offset: line.offset,
        backing: match line.name {
            b"[vdso]" => Backing::Vdso,
            path if path.starts_with(b"/") && line.inode != 0 => Backing::File(path.into(), line.inode),
            _ => Backing::Anonymous,
        },
        found: Found::NotYet,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::{any, prop, proptest};

    use super::{AddressSpace, Backing, Hurry, MIN_AGE, parse};

    #[test]
    fn executable_mappings_are_kept() {
        let maps = b"00400000-00401000 r--p 00000000 fe:00 7    /bin/a b (deleted)
00401000-00405000 r-xp 00001000 fe:00 7    /bin/a b (deleted)
7f0000000000-7f0000001000 rwxp 00000000 00:00 0
7ffe0000-7ffe2000 r-xp 00000000 00:00 0 [vdso]
";
        let mappings = parse(&maps[..]).expect("memory");
        assert_eq!(mappings.len(), 2, "the last one is out of order");
        assert_eq!(
            (mappings[0].start, mappings[0].end, mappings[0].offset),
            (0x40_1000, 0x40_5000, 0x1000)
        );
        assert_eq!(
            mappings[0].backing,
            Backing::File(b"/bin/a b (deleted)"[..].into(), 7)
        );
        assert_eq!(mappings[1].backing, Backing::Anonymous);
    }

    #[test]
    fn own_code_is_found_and_its_stack_is_not() {
        let mut space = AddressSpace::read(std::process::id()).expect("alive");
        let code = own_code_is_found_and_its_stack_is_not as fn() as usize as u64;
        let mapping = space.mapping(code).expect("mapped");
        let own = std::env::current_exe().expect("has a path");
        assert!(
            matches!(&mapping.backing, Backing::File(path, _) if **path == *own.as_os_str().as_encoded_bytes())
        );
        assert_eq!(space.mapping(&raw const code as u64), None);
        assert!(
            space
                .mappings()
                .iter()
                .any(|mapping| mapping.backing == Backing::Vdso)
        );
    }

    #[test]
    fn grown_code_is_found_at_once_but_not_for_more_than_a_hundredth_of_the_time() {
        let pid = std::process::id();
        let mut hurry = Hurry::default();
        let mut space = AddressSpace::read(pid).expect("alive");
        assert!(!space.refresh(pid, &mut hurry), "it was read just now");
        space.rest = Duration::ZERO;
        assert!(space.refresh(pid, &mut hurry), "nobody was in a hurry before");
        // As expensive as a process with many mappings is.
        hurry.rest_until = Some(Instant::now() + MIN_AGE);
        let mut other = AddressSpace::read(pid).expect("alive");
        other.rest = Duration::ZERO;
        assert!(
            !other.refresh(pid, &mut hurry),
            "all processes share what there is"
        );
        other.read_at -= MIN_AGE;
        assert!(
            other.refresh(pid, &mut hurry),
            "once in a while it is each one's turn"
        );
        other.read_at -= MIN_AGE;
        other.rest = MIN_AGE * 2;
        assert!(!other.refresh(pid, &mut hurry), "but not one that takes long");
    }

    #[test]
    fn no_process_no_mappings() {
        // Above the largest PID.
        assert!(AddressSpace::read(1 << 23).is_err());
    }

    #[test]
    fn a_hundred_thousand_mappings_are_limited() {
        let line = |index: u64| format!("{:x}-{:x} r-xp 0 0:0 0\n", index << 12, (index + 1) << 12);
        let maps: String = (0..100_000).map(line).collect();
        assert_eq!(parse(maps.as_bytes()).expect("memory").len(), super::MAX_MAPPINGS);
    }

    proptest! {
        #[test]
        fn any_maps_are_survived(maps in prop::collection::vec(any::<u8>(), 0..300), line in "[0-9a-fx\\- :/\\[\\]]{0,80}") {
            parse(&maps[..]).expect("memory");
            let mappings = parse(line.as_bytes()).expect("memory");
            assert!(mappings.iter().all(|mapping| mapping.start < mapping.end));
        }
    }
}
