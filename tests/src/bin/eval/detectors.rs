//! Who is compared: leakwatch and the rest.

use crate::{
    baselines,
    families::Group,
    score::{Alarm, Judged},
};

/// One column of results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detector {
    Leakwatch,
    /// Nobody takes closer looks.
    WithoutProbes,
    /// Alarms at `suspected` already.
    Suspected,
    /// Alarms at `leaking`, or when the limit is about to be reached.
    OrExhausting,
    Baseline(usize),
}

impl Detector {
    /// Those that can judge every case of a group; `None` for cases of both.
    pub(crate) fn of(group: Option<Group>) -> Vec<Self> {
        let own = [
            Self::Leakwatch,
            Self::WithoutProbes,
            Self::OrExhausting,
            Self::Suspected,
        ];
        let judges = |index: &usize| group == Some(Group::Stream) || !baselines::ALL[*index].needs_items();
        let others = (0..baselines::ALL.len()).filter(judges).map(Self::Baseline);
        own.into_iter().chain(others).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leakwatch => "**leakwatch, `leaking`**",
            Self::WithoutProbes => "leakwatch, no closer looks",
            Self::OrExhausting => "leakwatch, `leaking` or limit near",
            Self::Suspected => "leakwatch, `suspected`",
            Self::Baseline(index) => baselines::ALL[index].name,
        }
    }

    /// Whether it is somebody else's.
    pub(crate) fn is_baseline(self) -> bool {
        matches!(self, Self::Baseline(_))
    }

    pub(crate) fn alarm(self, judged: &Judged) -> Alarm {
        let said = &judged.leakwatch;
        match self {
            Self::Leakwatch => said.leaking,
            Self::WithoutProbes => judged.without_probes.leaking,
            Self::Suspected => said.suspected,
            Self::OrExhausting => match (said.leaking, said.exhausting) {
                (Some(leaking), Some(exhausting)) => Some(leaking.min(exhausting)),
                (leaking, exhausting) => leaking.or(exhausting),
            },
            Self::Baseline(index) => judged.baselines[index].flatten(),
        }
    }
}
