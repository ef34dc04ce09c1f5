//! Where the runtime keeps things, by version: read from the DWARF of programs that each of these versions made. The
//! structures are those of `src/runtime`: `runtime2.go`, `mprof.go`, `mgcpacer.go`, `mstats.go`.

use crate::runtimes::Unknown;

/// Offsets in the structures of one minor version, bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The 22 of Go 1.22.
    minor: u32,
    /// `g.atomicstatus`.
    pub(super) status: usize,
    /// `g.goid`.
    pub(super) id: usize,
    /// `g.waitsince`.
    pub(super) wait_since: usize,
    /// `g.gopc`: where the call returns that started it.
    pub(super) creator: usize,
    /// `g.startpc`: its first function.
    pub(super) start: usize,
    /// `g.sched.bp`.
    pub(super) frame_pointer: usize,
    /// `memRecordCycle`: with bytes beside the counts of objects, or without.
    pub(super) cycle_words: u64,
    /// `gcController.heapLive`.
    pub(super) heap_live: u64,
    /// `memstats.numgc`.
    pub(super) collections: u64,
}

/// `g.stack.lo`, `g.stack.hi`, `g.sched.sp` and `g.sched.pc`: the same in all of them.
pub(super) const STACK_LOW: usize = 0;
pub(super) const STACK_HIGH: usize = 8;
pub(super) const STACK_POINTER: usize = 56;
pub(super) const PROGRAM_COUNTER: usize = 64;
/// So far from `gcController.heapLive` are `heapMarked`, `heapInUse`, `heapReleased` and `heapFree`, bytes.
pub(super) const HEAP_MARKED: usize = 48;
pub(super) const HEAP_IN_USE: usize = 168;
pub(super) const HEAP_RELEASED: usize = 176;
pub(super) const HEAP_FREE: usize = 184;

/// Go 1.20 is not here: it could not be had to verify it.
const LAYOUTS: &[Layout] = &[
    layout(19, [144, 152, 168, 296, 312, 104], 4, 136, 7704),
    layout(21, [144, 152, 168, 280, 296, 104], 4, 104, 7704),
    layout(22, [144, 152, 168, 280, 296, 104], 4, 104, 7704),
    layout(23, [152, 160, 176, 288, 304, 104], 4, 104, 7704),
    layout(24, [152, 160, 176, 288, 304, 104], 4, 104, 7704),
    layout(25, [144, 152, 168, 280, 296, 96], 4, 104, 7680),
    layout(26, [144, 152, 168, 288, 304, 96], 4, 104, 7680),
    layout(27, [144, 152, 168, 288, 304, 96], 2, 104, 7680),
];

/// `g` holds `atomicstatus`, `goid`, `waitsince`, `gopc`, `startpc` and `sched.bp`.
const fn layout(minor: u32, g: [usize; 6], cycle_words: u64, heap_live: u64, collections: u64) -> Layout {
    let [status, id, wait_since, creator, start, frame_pointer] = g;
    Layout {
        minor,
        status,
        id,
        wait_since,
        creator,
        start,
        frame_pointer,
        cycle_words,
        heap_live,
        collections,
    }
}

impl Layout {
    /// The one of a release, named as the build information names it: `go1.22.10`, `go1.24.1 X:boringcrypto`.
    pub(super) fn of(version: &str) -> Result<&'static Self, Unknown> {
        minor(version)
            .and_then(|minor| LAYOUTS.iter().find(|layout| layout.minor == minor))
            .ok_or_else(|| Unknown::Version(version.to_owned()))
    }

    /// Bytes of a `g` from its beginning to the last thing that is read.
    pub(super) const fn goroutine_size(&self) -> usize {
        self.start + 8
    }
}

/// `None` for what is no release: development versions, candidates, versions that somebody else made.
fn minor(version: &str) -> Option<u32> {
    let release = version.strip_prefix("go1.")?;
    let release = release.split(' ').next()?;
    let (minor, patch) = release.split_once('.').unwrap_or((release, "0"));
    patch.parse::<u32>().ok()?;
    minor.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_and_nothing_else() {
        for version in [
            "go1.22",
            "go1.22.10",
            "go1.22.5 (Red Hat 1.22.5-1.el9)",
            "go1.22.1 X:boringcrypto",
        ] {
            assert_eq!(Layout::of(version).expect("known").minor, 22, "{version}");
        }
        for version in [
            "",
            "go1.18.1",
            "go1.20.14",
            "go1.99",
            "go2.22.1",
            "go1.27rc1",
            "go1.22.x",
            "go1.22.1-vendor",
            "devel go1.22-0123abcd",
        ] {
            let error = Layout::of(version).expect_err(version);
            assert!(error.to_string().contains(version));
        }
    }
}
