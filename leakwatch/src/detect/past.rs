//! What is known of a subject from before: what was said until the agent was started anew, and of earlier processes of the program.

use super::{
    evidence::{self, Case, Reason, Stand, Witness},
    remember::Remembered,
};

/// A verdict from before a restart is kept for so long without evidence of its own.
const HELD_NS: u64 = 900_000_000_000;

/// What is known from before.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The verdict on this very subject, and until when it is kept.
    kept: Option<(Remembered, u64)>,
    seen_before: bool,
}

impl Past {
    /// This was said of this very subject.
    pub(super) fn restore(&mut self, now_ns: u64, verdict: Remembered) {
        self.kept = Some((verdict, now_ns + HELD_NS));
    }

    /// An earlier process of the same program leaked the same.
    pub(super) fn was_seen_before(&mut self) {
        self.seen_before = true;
    }

    /// What was said of this subject turned out to be wrong, or is over.
    pub(super) fn take_back(&mut self) {
        self.kept = None;
    }
}

impl Witness for Past {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        if let Some((verdict, until_ns)) = &self.kept
            && stand.now_ns < *until_ns
        {
            let said = evidence::log_odds(verdict.confidence) - case.log_odds();
            if said > 0.0 {
                let text = format!("{} before leakwatch was started anew", verdict.verdict.name());
                case.add_times(Reason::Remembered, said, text);
            }
        }
        if self.seen_before {
            let text = "an earlier process of this program leaked the same".to_owned();
            case.add(Reason::SeenBefore, text);
        }
    }
}
