//! Which allocator a process uses: whoever defines `malloc` first, as the dynamic linker would have it, or an allocator that is
//! built into the executable under names of its own.

use std::{fs, path::PathBuf};

use super::{
    TraceError,
    elf::{self, Function},
    entry::{self, Placement, Role},
};
use crate::{
    model::sanitize,
    target_file::{Found, mapping_link},
};

/// Most bytes of `/proc/PID/maps` that are looked at.
const MOST_MAPS: usize = 16 << 20;

/// Names that allocators put before the standard ones: jemalloc as such and in Rust programs, tcmalloc, mimalloc.
const PREFIXES: [&str; 5] = ["", "je_", "_rjem_", "tc_", "mi_"];

/// The standard names, and those of single allocators.
const ROLES: [(&str, Role); 23] = [
    ("malloc", Role::Allocate),
    ("valloc", Role::Allocate),
    ("pvalloc", Role::Allocate),
    ("mallocx", Role::Allocate),
    ("zalloc", Role::Allocate),
    ("malloc_aligned", Role::Allocate),
    ("zalloc_aligned", Role::Allocate),
    ("new", Role::Allocate),
    ("newarray", Role::Allocate),
    ("calloc", Role::AllocateArray),
    ("realloc", Role::Reallocate),
    ("rallocx", Role::Reallocate),
    ("realloc_aligned", Role::Reallocate),
    ("aligned_alloc", Role::AllocateAligned),
    ("memalign", Role::AllocateAligned),
    ("posix_memalign", Role::AllocateInto),
    ("free", Role::Deallocate),
    ("cfree", Role::Deallocate),
    ("dallocx", Role::Deallocate),
    ("sdallocx", Role::Deallocate),
    ("free_sized", Role::Deallocate),
    ("delete", Role::Deallocate),
    ("deletearray", Role::Deallocate),
];

/// `operator new` and `operator delete` of all sorts, as they are mangled where `size_t` is `unsigned long`.
const OPERATORS: [(&str, Role); 4] = [
    ("_Znwm", Role::Allocate),
    ("_Znam", Role::Allocate),
    ("_ZdlPv", Role::Deallocate),
    ("_ZdaPv", Role::Deallocate),
];

/// Libraries that are looked at, most particular first, by a part of their file name.
const LIBRARIES: [&str; 6] = [
    "jemalloc",
    "tcmalloc",
    "mimalloc",
    "ld-musl",
    "libc.musl",
    "libc.so",
];

/// An allocator of a process.
#[derive(Clone, Debug)]
pub(super) struct Allocator {
    /// What defines it, as the process sees it.
    pub(super) name: String,
    /// How to get at the file, while the process has it mapped.
    pub(super) file: PathBuf,
    /// Where the executable part of it is: first address, and the offset in the file of what is there.
    ranges: Vec<(u64, u64, u64)>,
    /// What is to be probed.
    pub(super) probed: Vec<Probed>,
}

/// A function and how to probe it.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    /// Offset of its first instruction in the file.
    pub(super) offset: u64,
    pub(super) placement: Placement,
}

impl Allocator {
    /// The offset in the file of what the process has at this address.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.ranges
            .iter()
            .find(|(start, end, _)| (start..end).contains(&&address))
            .map(|(start, _, offset)| address - start + offset)
    }
}

/// A file with executable mappings.
struct Mapped {
    path: String,
    ranges: Vec<(u64, u64, u64)>,
}

/// Finds the allocators of a process, the one that most likely serves it first.
pub(super) fn find(pid: u32) -> Result<Vec<Allocator>, TraceError> {
    let files = files(pid)?;
    let executable = fs::read_link(format!("/proc/{pid}/exe"))
        .map_err(|error| TraceError::process(pid, "readlink", "exe", error))?;
    let executable = sanitize::text(executable.as_os_str().as_encoded_bytes());
    let rank = |file: &Mapped| {
        if file.path == executable {
            return Some(0);
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        LIBRARIES
            .iter()
            .position(|library| name.contains(library))
            .map(|position| position + 1)
    };
    let mut ranked: Vec<(usize, Mapped)> = files
        .into_iter()
        .filter_map(|file| Some((rank(&file)?, file)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut found = Vec::new();
    let mut stripped = false;
    for (rank, mapped) in ranked {
        let (first, end, _) = mapped.ranges[0];
        let file = Found::mapped(pid, (first, end)).and_then(|found| found.open());
        let file = file.map_err(|source| TraceError::File {
            path: mapped.path.clone(),
            source,
        })?;
        let Some(contents) = elf::read(&file, &|name| role(name).is_some()) else {
            continue;
        };
        if rank == 0 {
            if contents.is_go {
                return Err(TraceError::Go { pid });
            }
            stripped = !contents.has_symbols;
        }
        let probed = probed(contents.functions);
        let complete = |wanted: bool| {
            probed
                .iter()
                .any(|function| function.placement.ret.is_some() == wanted)
        };
        if complete(true) && complete(false) {
            found.push(Allocator {
                name: mapped.path,
                file: mapping_link(pid, (first, end)),
                ranges: mapped.ranges,
                probed,
            });
        }
    }
    if found.is_empty() {
        return Err(TraceError::NoAllocator {
            pid,
            executable,
            stripped,
        });
    }
    Ok(found)
}

fn role(name: &str) -> Option<Role> {
    let standard = PREFIXES.iter().find_map(|prefix| {
        let name = name.strip_prefix(prefix)?;
        // Only mimalloc has these as functions of their own; anything may be called `new`.
        let own = matches!(name, "new" | "newarray" | "delete" | "deletearray" | "zalloc");
        if own && prefix.is_empty() {
            return None;
        }
        ROLES.iter().find(|(known, _)| *known == name)
    });
    let operator = || OPERATORS.iter().find(|(operator, _)| name.starts_with(operator));
    standard.or_else(operator).map(|(_, role)| *role)
}

/// Operators that just call `malloc` or `free` of the same file are seen there.
fn probed(functions: Vec<Function>) -> Vec<Probed> {
    let is_operator = |function: &Function| function.name.starts_with("_Z");
    let standard: Vec<u64> = functions
        .iter()
        .filter(|function| !is_operator(function))
        .map(|function| function.offset)
        .collect();
    functions
        .into_iter()
        .filter(|function| {
            !is_operator(function) || !entry::calls(&function.code, function.offset, &standard)
        })
        .filter_map(|function| {
            Some(Probed {
                offset: function.offset,
                placement: entry::place(&function.code, role(&function.name)?),
            })
        })
        .collect()
}

/// Every file of which a process has something mapped as code.
fn files(pid: u32) -> Result<Vec<Mapped>, TraceError> {
    let maps = fs::read(format!("/proc/{pid}/maps"))
        .map_err(|error| TraceError::process(pid, "open", "maps", error))?;
    let maps = &maps[..maps.len().min(MOST_MAPS)];
    let mut files: Vec<Mapped> = Vec::new();
    for line in maps.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let mut fields = line.splitn(6, ' ');
        let (Some(range), Some(permissions), Some(offset), _, _, Some(path)) = (
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ) else {
            continue;
        };
        let path = sanitize::text(path.trim_start().as_bytes());
        let numbers = range.split_once('-').and_then(|(start, end)| {
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(start)?, number(end)?, number(offset)?))
        });
        let Some(numbers) = numbers.filter(|_| permissions.contains('x') && path.starts_with('/')) else {
            continue;
        };
        match files.iter_mut().find(|file| file.path == path) {
            Some(file) => file.ranges.push(numbers),
            None => files.push(Mapped {
                path,
                ranges: vec![numbers],
            }),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_roles() {
        for (name, expected) in [
            ("malloc", Some(Role::Allocate)),
            ("_rjem_mallocx", Some(Role::Allocate)),
            ("mi_zalloc_aligned", Some(Role::Allocate)),
            ("tc_memalign", Some(Role::AllocateAligned)),
            ("_ZnwmSt11align_val_tRKSt9nothrow_t", Some(Role::Allocate)),
            ("_ZdaPvm", Some(Role::Deallocate)),
            ("je_sdallocx", Some(Role::Deallocate)),
            ("new", None),
            ("mi_new", Some(Role::Allocate)),
            ("malloc_usable_size", None),
            ("free_list", None),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
    }

    #[test]
    fn the_own_allocator_is_found() {
        // Needs no privilege only where /proc/PID/map_files is open to everybody, which it is not.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let found = find(std::process::id()).expect("this test allocates");
        let own = &found[0];
        let roles: Vec<Role> = own.probed.iter().map(|probed| probed.placement.read_as).collect();
        for role in [
            Role::Allocate,
            Role::AllocateArray,
            Role::Reallocate,
            Role::Deallocate,
        ] {
            assert!(roles.contains(&role), "{role:?} of {}", own.name);
        }
        let (start, _, offset) = own.ranges[0];
        assert_eq!(own.offset_of(start + 16), Some(offset + 16));
    }
}
