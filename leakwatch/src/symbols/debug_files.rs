//! Finding the file with the debug information of a stripped binary.
//!
//! Where a distribution puts it: by build id below `/usr/lib/debug/.build-id`, or by the name in `.gnu_debuglink` beside the
//! binary. The root of the process comes first. The host's `/usr/lib/debug` may serve a container's binary as well, but
//! only by build id: a path in a container means another file on the host.

use std::fmt::Write as _;

use super::elf_file::{DebugLink, ElfFile};
use crate::target_file::Root;

/// Longest file whose checksum is taken, bytes.
const MAX_CHECKED: u64 = 256 << 20;

/// The file with the debug information of a binary; `path` is the binary's in the root of its process.
pub(super) fn find(elf: &ElfFile, path: &str, process: Option<&Root>, host: &Root) -> Option<ElfFile> {
    let build_id = elf.build_id();
    let by_build_id = build_id.as_deref().and_then(path_of_build_id);
    let roots = process.into_iter().chain([host]);
    let by_build_id = by_build_id.and_then(|path| {
        roots
            .filter_map(|root| open(root, &path))
            .find(|found| found.build_id() == build_id)
    });
    by_build_id.or_else(|| {
        let (link, process) = (elf.debug_link()?, process?);
        by_link(&link, path)
            .into_iter()
            .filter_map(|path| open(process, &path))
            .find(|found| belongs(found, build_id.as_deref(), &link))
    })
}

/// A build id names the file; without one the checksum of the link does.
fn belongs(found: &ElfFile, build_id: Option<&[u8]>, link: &DebugLink) -> bool {
    match (build_id, found.build_id()) {
        (Some(wanted), Some(build_id)) => build_id == wanted,
        _ => found.crc(MAX_CHECKED).is_ok_and(|crc| crc == Some(link.crc)),
    }
}

fn open(root: &Root, path: &str) -> Option<ElfFile> {
    let elf = ElfFile::read(root.find(path).ok()?.open().ok()?).ok()?;
    (elf.has_debug_information() || elf.has_symbol_table()).then_some(elf)
}

fn path_of_build_id(build_id: &[u8]) -> Option<String> {
    let (first, rest) = build_id
        .split_first()
        .filter(|(_, rest)| !rest.is_empty() && rest.len() < 64)?;
    let mut path = format!("/usr/lib/debug/.build-id/{first:02x}/");
    for byte in rest {
        write!(path, "{byte:02x}").ok()?;
    }
    Some(path + ".debug")
}

fn by_link(link: &DebugLink, path: &str) -> [String; 3] {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let name = &link.name;
    [
        format!("{directory}/{name}"),
        format!("{directory}/.debug/{name}"),
        format!("/usr/lib/debug{directory}/{name}"),
    ]
}
