//! Names of JIT-compiled code from `/tmp/perf-PID.map`, which runtimes write when they are told to.
//!
//! One pass over the file answers a batch, and nothing is kept: the file grows, and addresses are used again.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
};

use super::{demangle::name, reason::Reason};
use crate::{model::stack::Function, process_stat, target_file::Root};

/// Most bytes of a map that are read.
const MAX_MAP: u64 = 64 << 20;
/// Longest line, bytes. A longer one is no line of a map.
const MAX_LINE: u64 = 64 * 1024;

/// The functions at addresses of a process, in the order of the addresses.
pub(super) fn find(pid: u32, addresses: &[u64]) -> Vec<Result<Function, Reason>> {
    match open(pid).and_then(|map| read(map, addresses).map_err(Reason::from)) {
        Ok(names) => names
            .into_iter()
            .map(|name| name.ok_or(Reason::NotInPerfMap))
            .collect(),
        Err(Reason::FileGone) => vec![Err(Reason::NoPerfMap); addresses.len()],
        Err(reason) => vec![Err(reason); addresses.len()],
    }
}

/// The map of a process, named after the process id that it sees itself.
fn open(pid: u32) -> Result<impl io::Read, Reason> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| Reason::ProcessGone)?;
    let own_pid = process_stat::innermost_pid(&status).unwrap_or(pid);
    let root = Root::of_process(pid).map_err(|_| Reason::ProcessGone)?;
    let map = root.find_itself(format!("/tmp/perf-{own_pid}.map"))?.open()?;
    // Anybody may create that file in a shared /tmp: only the process's own word counts, or root's.
    let owner = map.metadata()?.uid();
    let user = fs::metadata(format!("/proc/{pid}"))
        .map_err(|_| Reason::ProcessGone)?
        .uid();
    if owner == user || owner == 0 {
        Ok(map)
    } else {
        Err(Reason::NoPerfMap)
    }
}

/// Reads lines of `FIRST SIZE NAME`, numbers hexadecimal. The last line that covers an address has it: a map is appended to.
fn read(map: impl io::Read, addresses: &[u64]) -> io::Result<Vec<Option<Function>>> {
    let mut names = vec![None; addresses.len()];
    let mut sorted: Vec<usize> = (0..addresses.len()).collect();
    sorted.sort_unstable_by_key(|&at| addresses[at]);
    let mut map = BufReader::new(map.take(MAX_MAP));
    let mut line = Vec::new();
    while next_line(&mut map, &mut line)? {
        let Some((first, size, text)) = parse(&line) else {
            continue;
        };
        let from = sorted.partition_point(|&at| addresses[at] < first);
        let covered = sorted[from..]
            .iter()
            .take_while(|&&at| addresses[at] - first < size);
        for &at in covered {
            names[at] = Some(Function {
                name: name(&String::from_utf8_lossy(text)),
                file: None,
                line: None,
            });
        }
    }
    Ok(names)
}

/// Reads a line without its end; `false` at the end of the file and at a line that is too long.
fn next_line(map: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    map.take(MAX_LINE).read_until(b'\n', line)?;
    // A last line without an end is still being written.
    Ok(line.pop() == Some(b'\n'))
}

fn parse(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut fields = line.splitn(3, |&byte| byte == b' ');
    let mut number = || {
        let text = str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let (first, size) = (number()?, number()?);
    let name = fields.next()?;
    (!name.is_empty()).then_some((first, size, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_LINE, read};

    fn names(map: &str, addresses: &[u64]) -> Vec<Option<String>> {
        let functions = read(map.as_bytes(), addresses).unwrap();
        functions
            .into_iter()
            .map(|found| found.map(|found| found.name))
            .collect()
    }

    #[test]
    fn lines_cover_addresses_and_the_last_one_counts() {
        let map = "7f00 10 LazyCompile:~first a.js:1\n7f10 0x20 second\nbroken\n7f10 8 third\n7f40 10 cut";
        let found = names(map, &[0x7f18, 0x7eff, 0x7f00, 0x7f0f, 0x7f10, 0x7f30, 0x7f44]);
        let expected = [
            Some("second"),
            None,
            Some("LazyCompile:~first a.js:1"),
            Some("LazyCompile:~first a.js:1"),
            Some("third"),
            None,
            None,
        ];
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn a_line_without_end_ends_the_map() {
        let map = format!(
            "10 10 good\n20 10 {}\n30 10 unseen\n",
            "x".repeat(usize::try_from(MAX_LINE).unwrap())
        );
        assert_eq!(names(&map, &[0x10, 0x30]), [Some("good".to_owned()), None]);
    }

    proptest! {
            #[test]
            fn any_bytes_are_read(map: Vec<u8>, addresses: Vec<u64>) {
                prop_assert_eq!(read(&*map, &addresses).unwrap().len(), addresses.len());
            }

            #[test]
            fn any_ranges_are_read(lines: Vec<(u64, u64)>, addresses: Vec<u64>) {
                let text = |(first, size): &(u64, u64)| format!("{first:x} {size:x} f\n");
    let map = lines.iter().map(text).collect::<Vec<_>>().concat();
                for (found, address) in names(&map, &addresses).iter().zip(&addresses) {
                    let covered = lines.iter().any(|(first, size)| address.checked_sub(*first).is_some_and(|o| o < *size));
                    prop_assert_eq!(found.is_some(), covered);
                }
            }
        }
}
