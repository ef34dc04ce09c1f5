//! Anonymous memory: whether it was accessed.
//!
//! Writing `2` to `/proc/PID/clear_refs` clears the mark of access of every anonymous page (Documentation/filesystems/proc.rst);
//! the processor sets it again at an access, and `smaps` adds it up by mapping as `Referenced`. The process does not see the
//! mark and none of its contents are read or changed. But it is the one look that writes anything, it takes the lock of the
//! address space, and the kernel's reclaim sees old pages as older: so it is rationed, and can be switched off.

use std::{
    fs::{self, File},
    io::{self, BufReader},
};

use super::look::nothing;
use crate::model::confirm::{Confirmation, Wish};

/// Processes with more resident memory are left alone, bytes: walking over 4 GiB takes a tenth of a second.
const MAX_RESIDENT: u64 = 8 << 30;

/// What was held in each anonymous mapping when the marks of access were cleared, in ascending order.
#[derive(Debug, Default)]
pub(super) struct Cleared(Vec<Mapping>);

/// Clears the marks of access. `None` when that may not be, or the process is too large.
pub(super) fn clear(pid: u32) -> Option<Cleared> {
    resident(pid).filter(|&resident| resident <= MAX_RESIDENT)?;
    let mut mappings = Vec::new();
    walk(smaps(pid).ok()?, &mut |mapping| {
        if mapping.held > 0 {
            mappings.push(*mapping);
        }
    })
    .ok()?;
    fs::write(format!("/proc/{pid}/clear_refs"), "2").ok()?;
    Some(Cleared(mappings))
}

impl Cleared {
    /// Bytes that were held between two addresses. The kernel joins mappings that lie side by side, and cuts them.
    fn held(&self, start: u64, end: u64) -> f64 {
        let from = self.0.partition_point(|mapping| mapping.end <= start);
        let within = self.0[from..].iter().take_while(|mapping| mapping.start < end);
        within
            .map(|mapping| {
                let common = mapping.end.min(end) - mapping.start.max(start);
                // Spread evenly, where it was cut.
                mapping.held as f64 * common as f64 / (mapping.end - mapping.start) as f64
            })
            .sum()
    }
}

fn smaps(pid: u32) -> io::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(format!("/proc/{pid}/smaps"))?))
}

fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// What was accessed since. Of a mapping that was accessed in part, that part of the items in it counts as touched. Without
/// items it is about all anonymous memory, in pages.
pub(super) fn measure(wish: &Wish, cleared: &Cleared) -> io::Result<Confirmation> {
    let mut sum = Sum::default();
    walk(smaps(wish.process.pid)?, &mut |mapping| {
        sum.add(mapping, cleared.held(mapping.start, mapping.end), &wish.items);
    })?;
    Ok(sum.confirmation(wish))
}

/// An anonymous mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    /// Resident or swapped out: what is swapped in again is accessed, and not new.
    held: u64,
    accessed: u64,
}

#[derive(Default)]
struct Sum {
    looked_at: f64,
    touched: f64,
}

impl Sum {
    /// Adds a mapping of which so many bytes were held before.
    fn add(&mut self, mapping: &Mapping, before: f64, items: &[u64]) {
        let things = if items.is_empty() {
            before / rustix::param::page_size() as f64
        } else {
            let from = items.partition_point(|&item| item < mapping.start);
            let to = items.partition_point(|&item| item < mapping.end);
            (to - from) as f64
        };
        self.looked_at += things;
        // What was not held was not accessed, or it would have been. What came since was accessed to come, and is new.
        if before > 0.0 {
            let new = (mapping.held as f64 - before).max(0.0);
            let accessed = (mapping.accessed as f64 - new).clamp(0.0, before);
            self.touched += things * accessed / before;
        }
    }

    fn confirmation(&self, wish: &Wish) -> Confirmation {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sums of counts; a cast of a float stops at the largest number"
        )]
        let [looked_at, touched] = [self.looked_at, self.touched].map(|sum| sum.round() as u32);
        let touched = touched.min(looked_at);
        Confirmation {
            looked_at,
            touched,
            stale: looked_at - touched,
            ..nothing(wish)
        }
    }
}

/// Shows the anonymous mappings of an `smaps`, ascending.
fn walk(smaps: impl io::BufRead, show: &mut dyn FnMut(&Mapping)) -> io::Result<()> {
    let mut mapping: Option<Mapping> = None;
    for line in smaps.split(b'\n') {
        // Paths may be any bytes.
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(value) = line.strip_prefix("Rss:") {
            add(&mut mapping, |mapping| &mut mapping.held, value);
        } else if let Some(value) = line.strip_prefix("Swap:") {
            add(&mut mapping, |mapping| &mut mapping.held, value);
        } else if let Some(value) = line.strip_prefix("Referenced:") {
            add(&mut mapping, |mapping| &mut mapping.accessed, value);
        } else if let Some((next, is_anonymous)) = header(&line) {
            if let Some(mapping) = mapping.take() {
                show(&mapping);
            }
            mapping = is_anonymous.then_some(next);
        }
    }
    if let Some(mapping) = mapping {
        show(&mapping);
    }
    Ok(())
}

fn add(mapping: &mut Option<Mapping>, field: fn(&mut Mapping) -> &mut u64, value: &str) {
    let kibibytes = value
        .trim()
        .strip_suffix("kB")
        .and_then(|value| value.trim_end().parse::<u64>().ok());
    if let (Some(mapping), Some(kibibytes)) = (mapping, kibibytes) {
        let sum = field(mapping);
        *sum = sum.saturating_add(kibibytes.saturating_mul(1024));
    }
}

/// `7f5460c00000-7f5460c28000 rw-p 00000000 00:00 0   [heap]`, and whether that is anonymous memory; `None` for another line.
fn header(line: &str) -> Option<(Mapping, bool)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let mapping = Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        ..Mapping::default()
    };
    Some((mapping, fields.nth(3)? == "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &[u8] = b"\
55d8b8b5c000-55d8b8b5e000 r--p 00000000 fe:00 1234                       /usr/bin/Rss: x\xff
Rss:                   8 kB
Referenced:            8 kB
VmFlags: rd mr mw me 
55d8ba5f3000-55d8ba614000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Rss:                 100 kB
Referenced:           25 kB
Anonymous:           100 kB
7f5460c00000-7f5460c28000 rw-p 00000000 00:00 0 
Rss:                   0 kB
Referenced:            0 kB
Swap:                  8 kB
SwapPss:               8 kB
";

    #[test]
    fn anonymous_mappings_of_an_smaps() {
        let mut found = Vec::new();
        walk(SMAPS, &mut |mapping| {
            found.push((mapping.start, mapping.held, mapping.accessed));
        })
        .unwrap();
        let expected = [(0x55d8_ba5f_3000, 102_400, 25_600), (0x7f54_60c0_0000, 8_192, 0)];
        assert_eq!(found, expected);
    }

    #[test]
    fn items_count_by_the_part_that_was_accessed() {
        let heap = 0x55d8_ba5f_3000;
        let items = [0x1000, heap, heap + 1, heap + 2, heap + 3, 0x7f54_60c0_0000];
        let mut sum = Sum::default();
        walk(SMAPS, &mut |mapping| {
            sum.add(mapping, mapping.held as f64, &items);
        })
        .unwrap();
        assert_eq!((sum.looked_at, sum.touched), (5.0, 1.0));
    }

    #[test]
    fn what_came_since_is_not_what_was_looked_at() {
        let mapping = |start, end, held, accessed| Mapping {
            start,
            end,
            held,
            accessed,
        };
        // Two that were joined with a third that is new; then one that was cut in two.
        let cleared = Cleared(vec![
            mapping(0x1000, 0x3000, 0x2000, 0),
            mapping(0x3000, 0x5000, 0x2000, 0),
            mapping(0x9000, 0xd000, 0x4000, 0),
        ]);
        let touched = |now: Mapping| {
            let mut sum = Sum::default();
            sum.add(&now, cleared.held(now.start, now.end), &[]);
            (sum.looked_at, sum.touched)
        };
        assert_eq!(touched(mapping(0x1000, 0x7000, 0x6000, 0x2000)), (4.0, 0.0));
        assert_eq!(touched(mapping(0x1000, 0x7000, 0x6000, 0x3000)), (4.0, 1.0));
        assert_eq!(touched(mapping(0x9000, 0xa000, 0x1000, 0)), (1.0, 0.0));
        // Nothing is new where what was swapped out was read.
        assert_eq!(touched(mapping(0x9000, 0xd000, 0x4000, 0x3000)), (4.0, 3.0));
        assert_eq!(touched(mapping(0xe000, 0xf000, 0x1000, 0x1000)), (0.0, 0.0));
    }
}
