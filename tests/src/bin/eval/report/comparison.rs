//! Detectors beside each other.

use leakwatch_tests::markdown::Table;

use crate::{
    case::Pace,
    detectors::Detector,
    families::{Family, Group, Truth},
    score::{
        Judged, Tally, bootstrap,
        numbers::{duration, spread},
    },
};

/// One detector over all cases of a group.
pub(super) struct Score {
    pub all: Tally,
    /// The same without mended twins, which hardly anybody takes for leaks.
    pub adversarial: Tally,
    /// Tallies of families.
    healthy: Vec<Tally>,
    leaky: Vec<Tally>,
}

impl Score {
    pub(super) fn of(
        detector: Detector,
        families: &[Family],
        judged: &[Judged],
        group: Option<Group>,
    ) -> Self {
        let mut score = Self {
            all: Tally::default(),
            adversarial: Tally::default(),
            healthy: Vec::new(),
            leaky: Vec::new(),
        };
        for (index, family) in families.iter().enumerate() {
            if group.is_some_and(|group| group != family.group) {
                continue;
            }
            let mut tally = Tally::default();
            for judged in judged.iter().filter(|judged| judged.family == index) {
                tally.add(judged, detector.alarm(judged));
            }
            score.all = score.all.plus(tally);
            if family.truth != Truth::Twin {
                score.adversarial = score.adversarial.plus(tally);
            }
            let side = if family.truth == Truth::Leaky {
                &mut score.leaky
            } else {
                &mut score.healthy
            };
            side.push(tally);
        }
        score
    }

    /// Interval of a number by family.
    pub(super) fn interval(&self, number: impl Fn(&Tally) -> f64) -> (f64, f64) {
        bootstrap::interval(&self.healthy, &self.leaky, number).unwrap_or((0.0, 1.0))
    }
}

/// Seconds from onset to alarm of the leaks of one pace that were found.
pub(super) fn delays(detector: Detector, judged: &[Judged], group: Option<Group>, pace: Pace) -> Vec<f64> {
    judged
        .iter()
        .filter(|judged| judged.pace == Some(pace) && group.is_none_or(|group| group == judged.group))
        .filter_map(|judged| judged.delay(detector.alarm(judged)))
        .collect()
}

pub(super) fn render(families: &[Family], judged: &[Judged], group: Option<Group>) -> String {
    let mut header = vec![
        "detector".to_owned(),
        "precision".to_owned(),
        "recall".to_owned(),
        "F1 [95 %]".to_owned(),
        "false/process-day".to_owned(),
        "without twins".to_owned(),
    ];
    header.extend(Pace::ALL.map(|pace| format!("delay p50 / p95, {}", pace.name())));
    let mut table = Table::new(header);
    for detector in Detector::of(group) {
        let score = Score::of(detector, families, judged, group);
        let (low, high) = score.interval(Tally::f1);
        let mut row = vec![
            detector.name().to_owned(),
            format!("{:.3}", score.all.precision()),
            format!("{:.3}", score.all.recall()),
            format!("{:.3} [{low:.2}..{high:.2}]", score.all.f1()),
            format!("{:.4}", score.all.false_alarms_per_day()),
            format!("{:.4}", score.adversarial.false_alarms_per_day()),
        ];
        row.extend(Pace::ALL.map(|pace| spread(&delays(detector, judged, group, pace), 0.95, duration)));
        table.row(row);
    }
    table.render()
}
