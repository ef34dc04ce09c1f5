//! Files: reading and writing moves the position.

use std::collections::HashMap;

use rustix::fs::FileType;

use super::{
    descriptors::Descriptor,
    look::{Sight, Sights},
};

/// `pos:` of an untouched file.
const START: &str = "0";

pub(super) fn sight(descriptor: &Descriptor) -> Option<Sight> {
    let fdinfo = descriptor.fdinfo()?;
    let has_position = matches!(
        descriptor.file_type(),
        FileType::RegularFile | FileType::Directory
    );
    let position = fdinfo.lines().find_map(|line| line.strip_prefix("pos:"));
    let stat = &descriptor.stat;
    Some(Sight {
        is_file: true,
        mark: position
            .filter(|_| has_position)
            .map(|position| position.trim().to_owned()),
        // `pwrite` does not move the position. Or somebody else wrote.
        doubt: format!("{} {:?}", stat.stx_size, stat.stx_mtime),
        // What has contents and was never read by position may be read by `pread` or through a mapping.
        is_traceless: stat.stx_size > 0,
        ..Sight::default()
    })
}

/// Databases keep a descriptor for each of their files and read with `pread`, which leaves no trace at the position. So an
/// unmoved position tells of a leak where it is not at the start, or where one file is open several times.
pub(super) fn doubt_what_is_read_in_place(sights: &mut Sights) {
    let mut times_open: HashMap<(u64, u64), u32> = HashMap::new();
    for sight in sights.values().filter(|sight| sight.is_file) {
        *times_open.entry(sight.identity).or_default() += 1;
    }
    for sight in sights.values_mut().filter(|sight| sight.is_file) {
        let is_at_start = sight.mark.as_deref() == Some(START);
        sight.is_traceless &= is_at_start && times_open.get(&sight.identity) == Some(&1);
    }
}
