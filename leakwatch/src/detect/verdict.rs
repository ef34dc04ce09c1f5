//! From the odds of each tick to a verdict that does not flicker.

use crate::model::finding::Verdict;

/// Odds for a suspicion (1:1) and for a verdict (9:1), as logarithms; and those at which neither is left.
const SUSPECTED: f64 = 0.0;
const LEAKING: f64 = 2.2;
const CLEARED: f64 = -1.0;
/// Ticks in a row that have to agree.
const AGREE: u8 = 2;
/// Without a new high for so long it has recovered, seconds; longer when it took longer to be seen.
const QUIET: f64 = 600.0;
const QUIET_TIMES: f64 = 3.0;

/// What there is to decide about at one tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) now_ns: u64,
    pub(super) unix_ms: u64,
    /// Natural logarithm of the odds.
    pub(super) log_odds: f64,
    /// It keeps reaching new highs.
    pub(super) growing: bool,
    /// For so many seconds there was no new high.
    pub(super) quiet: f64,
    /// How long one has to watch to see it climb, seconds.
    pub(super) climb: f64,
    /// Half of what was gained has been given back.
    pub(super) released: bool,
    /// Records were lost: nothing is decided.
    pub(super) frozen: bool,
    /// A look showed that what is held is used. Evidence that only got thinner is none to the contrary.
    pub(super) contrary: bool,
}

/// Where one resource stands.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) verdict: Verdict,
    /// When it was first suspected.
    pub(super) since_unix_ms: Option<u64>,
    changed_ns: u64,
    pending: Option<(Verdict, u8)>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            verdict: Verdict::Healthy,
            since_unix_ms: None,
            changed_ns: 0,
            pending: None,
        }
    }
}

impl Standing {
    /// As it was before a restart.
    pub(super) fn restored(verdict: Verdict, since_unix_ms: Option<u64>, now_ns: u64) -> Self {
        Self {
            verdict,
            since_unix_ms,
            changed_ns: now_ns,
            pending: None,
        }
    }

    /// The least odds that it rests on while nothing took it back, as a logarithm; `None` of what accuses nobody.
    pub(super) fn bar(&self) -> Option<f64> {
        match self.verdict {
            Verdict::Suspected => Some(SUSPECTED),
            Verdict::Leaking => Some(LEAKING),
            Verdict::Healthy | Verdict::Growing | Verdict::Recovered | Verdict::Ended => None,
        }
    }

    /// Decides.
    pub(super) fn update(&mut self, facts: &Facts) {
        if facts.frozen {
            self.pending = None;
            return;
        }
        let wanted = self.wanted(facts);
        if wanted == self.verdict {
            self.pending = None;
            return;
        }
        let agreed = match self.pending {
            Some((pending, agreed)) if pending == wanted => agreed + 1,
            _ => 1,
        };
        self.pending = Some((wanted, agreed));
        if agreed < AGREE {
            return;
        }
        self.pending = None;
        self.verdict = wanted;
        self.changed_ns = facts.now_ns;
        match wanted {
            Verdict::Suspected | Verdict::Leaking => {
                self.since_unix_ms.get_or_insert(facts.unix_ms);
            }
            Verdict::Healthy => self.since_unix_ms = None,
            Verdict::Ended | Verdict::Recovered | Verdict::Growing => {}
        }
    }

    fn wanted(&self, facts: &Facts) -> Verdict {
        let quiet = facts.quiet >= QUIET.max(QUIET_TIMES * facts.climb);
        let grows = if facts.growing {
            Verdict::Growing
        } else {
            Verdict::Healthy
        };
        let accused = if facts.log_odds >= LEAKING {
            Verdict::Leaking
        } else if facts.log_odds >= SUSPECTED {
            Verdict::Suspected
        } else {
            grows
        };
        match self.verdict {
            Verdict::Healthy | Verdict::Growing if facts.released || quiet => grows,
            Verdict::Healthy | Verdict::Growing | Verdict::Ended => accused,
            Verdict::Suspected | Verdict::Leaking => {
                if facts.released || quiet || facts.contrary && facts.log_odds < CLEARED {
                    Verdict::Recovered
                } else {
                    // Between the two bars it stays what it is.
                    self.verdict.max(accused)
                }
            }
            Verdict::Recovered => {
                let rested = facts.now_ns.saturating_sub(self.changed_ns) as f64 / 1e9;
                if accused >= Verdict::Suspected && !facts.released && !quiet {
                    accused
                } else if rested >= QUIET.max(QUIET_TIMES * facts.climb) {
                    grows
                } else {
                    Verdict::Recovered
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(second: u64, log_odds: f64) -> Facts {
        Facts {
            now_ns: second * 1_000_000_000,
            unix_ms: second * 1_000,
            log_odds,
            growing: true,
            quiet: 0.0,
            climb: 20.0,
            released: false,
            frozen: false,
            contrary: false,
        }
    }

    fn after(steps: &[Facts]) -> Standing {
        let mut standing = Standing::default();
        for facts in steps {
            standing.update(facts);
        }
        standing
    }

    #[test]
    fn one_tick_decides_nothing() {
        assert_eq!(after(&[facts(1, 5.0)]).verdict, Verdict::Healthy);
        assert_eq!(
            after(&[facts(1, 5.0), facts(2, -5.0), facts(3, 5.0)]).verdict,
            Verdict::Healthy
        );
        let standing = after(&[facts(1, 5.0), facts(2, 5.0)]);
        assert_eq!(
            (standing.verdict, standing.since_unix_ms),
            (Verdict::Leaking, Some(2_000))
        );
    }

    #[test]
    fn a_release_recovers_and_a_relapse_is_an_accusation_again() {
        let released = |second| Facts {
            released: true,
            ..facts(second, 5.0)
        };
        let mut steps = vec![facts(1, 5.0), facts(2, 5.0), released(3), released(4)];
        assert_eq!(after(&steps).verdict, Verdict::Recovered);
        steps.extend([facts(5, 1.0), facts(6, 1.0)]);
        assert_eq!(after(&steps).verdict, Verdict::Suspected);
    }

    #[test]
    fn ten_quiet_minutes_recover_and_ten_more_heal() {
        let quiet = |second| Facts {
            quiet: 601.0,
            growing: false,
            ..facts(second, 5.0)
        };
        let mut steps = vec![facts(1, 5.0), facts(2, 5.0), quiet(700), quiet(701)];
        assert_eq!(after(&steps).verdict, Verdict::Recovered);
        steps.extend([quiet(1_302), quiet(1_303)]);
        let standing = after(&steps);
        assert_eq!(
            (standing.verdict, standing.since_unix_ms),
            (Verdict::Healthy, None)
        );
    }

    #[test]
    fn nothing_is_decided_while_records_are_lost() {
        let frozen = |second| Facts {
            frozen: true,
            ..facts(second, 5.0)
        };
        assert_eq!(
            after(&[frozen(1), frozen(2), frozen(3)]).verdict,
            Verdict::Healthy
        );
    }

    #[test]
    fn a_verdict_does_not_flicker_between_the_bars() {
        let standing = after(&[
            facts(1, 5.0),
            facts(2, 5.0),
            facts(3, 0.5),
            facts(4, -0.5),
            facts(5, 1.0),
        ]);
        assert_eq!(standing.verdict, Verdict::Leaking);
    }

    #[test]
    fn only_evidence_to_the_contrary_clears() {
        let mut steps = vec![facts(1, 5.0), facts(2, 5.0), facts(3, -2.0), facts(4, -2.0)];
        assert_eq!(after(&steps).verdict, Verdict::Leaking);
        let contrary = |second| Facts {
            contrary: true,
            ..facts(second, -2.0)
        };
        steps.extend([contrary(5), contrary(6)]);
        assert_eq!(after(&steps).verdict, Verdict::Recovered);
    }
}
