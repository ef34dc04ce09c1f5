//! A process that was watched, and whether that was enough to say something about it.

use std::sync::Arc;

use crate::model::snapshot::ProcessRow;

/// Nothing is concluded about a process that was watched for less, or seen less often: on a host that is so busy that readings
/// fail to come, a minute may have four.
const ENOUGH_NS: u64 = 8_000_000_000;
const ENOUGH_READINGS: u64 = 6;
/// A loss of deaths makes the detector begin anew with what survives, and a leak of ten a second takes it so long. Who was
/// watched for longer, and never for so long without a loss, was not observed.
const ENOUGH_WHOLE_NS: u64 = 30_000_000_000;

/// A process that was watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) process: String,
    pub(super) container: Option<Arc<str>>,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    readings: u64,
    /// Deaths were lost last before the reading at this time, or it was the first.
    whole_since_ns: u64,
    /// The longest time without a loss of deaths.
    pub(super) whole_ns: u64,
}

impl Watched {
    /// Seen for the first time.
    pub(super) fn since(now_ns: u64) -> Self {
        Self {
            process: String::new(),
            container: None,
            first_ns: now_ns,
            last_ns: now_ns,
            readings: 0,
            whole_since_ns: now_ns,
            whole_ns: 0,
        }
    }

    /// Takes in a reading; `blind` says that deaths were lost before it.
    pub(super) fn saw(&mut self, process: &ProcessRow, now_ns: u64, blind: bool) {
        self.process.clone_from(&process.name);
        self.container.clone_from(&process.container_id);
        self.last_ns = now_ns;
        self.readings += 1;
        if blind {
            self.whole_since_ns = now_ns;
        }
        self.whole_ns = self.whole_ns.max(now_ns.saturating_sub(self.whole_since_ns));
    }

    fn time_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns)
    }

    /// Whether losses left too little to say anything.
    pub(super) fn is_broken(&self) -> bool {
        self.whole_ns < self.time_ns().min(ENOUGH_WHOLE_NS)
    }

    /// Whether there were readings enough to say something.
    pub(super) fn is_judged(&self) -> bool {
        let enough = self.readings >= ENOUGH_READINGS && self.time_ns() >= ENOUGH_NS;
        enough && !self.is_broken()
    }
}
