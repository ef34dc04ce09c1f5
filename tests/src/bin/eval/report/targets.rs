//! What is aimed at, and what is reached.

use leakwatch_tests::markdown::Table;

use super::{
    calibration,
    comparison::{Score, delays},
    forecasts::Forecasts,
};
use crate::{
    case::Pace,
    detectors::Detector,
    families::{Family, Group},
    score::{
        Judged, Tally,
        numbers::{duration, quantile},
    },
};

const OURS: Detector = Detector::Leakwatch;

type Number = fn(&Tally) -> f64;

struct Targets(Table);

impl Targets {
    fn add(&mut self, what: &str, target: &str, measured: impl Into<String>, reached: bool) {
        let reached = if reached { "reached" } else { "MISSED" };
        self.0.row([
            what.to_owned(),
            target.to_owned(),
            measured.into(),
            reached.to_owned(),
        ]);
    }
}

pub(super) fn render(families: &[Family], judged: &[Judged]) -> String {
    let score = Score::of(OURS, families, judged, None);
    let mut targets = Targets(Table::new(["what", "target", "measured", ""]));
    quality(&mut targets, &score);
    speed(&mut targets, judged);
    claims(&mut targets, judged);
    for group in [Group::Curve, Group::Stream] {
        beside_others(&mut targets, families, judged, group);
    }
    targets.0.render()
}

fn quality(targets: &mut Targets, score: &Score) {
    let all = score.all;
    let numbers: [(_, Number, _); 2] = [
        ("precision", Tally::precision, 0.95),
        ("recall", Tally::recall, 0.93),
    ];
    for (what, number, target) in numbers {
        let (low, high) = score.interval(number);
        let value = number(&all);
        let measured = format!("{value:.3} [{low:.2}..{high:.2}]");
        targets.add(what, &format!(">= {target}"), measured, value >= target);
    }
    let false_alarms = score.adversarial.false_alarms_per_day();
    targets.add(
        "false `leaking` a process-day, without twins",
        "<= 0.01",
        format!("{false_alarms:.4}"),
        false_alarms <= 0.01,
    );
}

fn speed(targets: &mut Targets, judged: &[Judged]) {
    let sites = Some(Group::Stream);
    for (pace, most) in [(Pace::Fast, 30.0), (Pace::Medium, 150.0)] {
        let delay = quantile(&delays(OURS, judged, sites, pace), 0.95);
        targets.add(
            &format!("delay p95, sites, {}", pace.name()),
            &format!("<= {most} s"),
            delay.map_or("-".to_owned(), duration),
            delay.is_some_and(|delay| delay <= most),
        );
    }
    let lost = |judged: &Judged| {
        let (things, share) = judged
            .lost
            .filter(|_| judged.delay(judged.leakwatch.leaking).is_some())?;
        (judged.group == Group::Stream).then_some((things, share))
    };
    let lost: Vec<(f64, f64)> = judged.iter().filter_map(lost).collect();
    // Of the larger allowance: 128 things or 12 % of the limit.
    let allowances: Vec<f64> = lost
        .iter()
        .map(|&(things, share)| (things / 128.0).min(share / 0.12))
        .collect();
    let things: Vec<f64> = lost.iter().map(|lost| lost.0).collect();
    let shares: Vec<f64> = lost.iter().map(|lost| lost.1 * 100.0).collect();
    let write =
        |values: &[f64], share| quantile(values, share).map_or("-".to_owned(), |value| format!("{value:.1}"));
    targets.add(
        "lost at the alarm p90, sites",
        "<= 128 things or 12 % of the limit",
        format!(
            "p50 {} things, {} %; p90 {} things, {} %",
            write(&things, 0.5),
            write(&shares, 0.5),
            write(&things, 0.9),
            write(&shares, 0.9)
        ),
        quantile(&allowances, 0.9).is_some_and(|allowance| allowance <= 1.0),
    );
}

fn claims(targets: &mut Targets, judged: &[Judged]) {
    let forecasts = Forecasts::of(judged, None);
    targets.add(
        "time to the limit: covered",
        "0.92 to 0.98",
        format!("{:.3} of {}", forecasts.covered, forecasts.given),
        (0.92..=0.98).contains(&forecasts.covered),
    );
    targets.add(
        "time to the limit: median high/low",
        "<= 2.5",
        forecasts
            .width
            .map_or("-".to_owned(), |width| format!("{width:.2}")),
        forecasts.width.is_some_and(|width| width <= 2.5),
    );
    let errors = [
        (
            "calibration error, claims as they are made",
            calibration::of(judged).error(),
        ),
        (
            "calibration error, share of leaks here as the prior",
            calibration::at_base_rate(judged).error(),
        ),
    ];
    for (what, error) in errors {
        targets.add(what, "<= 0.05", format!("{error:.3}"), error <= 0.05);
    }
}

fn beside_others(targets: &mut Targets, families: &[Family], judged: &[Judged], group: Group) {
    let what = match group {
        Group::Curve => "levels",
        Group::Stream => "sites",
    };
    let tally = |detector| Score::of(detector, families, judged, Some(group)).all;
    let ours = tally(OURS);
    let others = || {
        Detector::of(Some(group))
            .into_iter()
            .filter(|detector| detector.is_baseline())
    };
    let best = others().max_by(|one, other| tally(*one).f1().total_cmp(&tally(*other).f1()));
    if let Some(best) = best {
        let f1 = tally(best).f1();
        targets.add(
            &format!("F1, {what}"),
            &format!("> {f1:.3} ({})", best.name()),
            format!("{:.3}", ours.f1()),
            ours.f1() > f1,
        );
    }
    let rate = |detector: Detector| tally(detector).false_alarms_per_day();
    // Who finds nothing is quiet.
    let finds = |detector: &Detector| tally(*detector).recall() >= 0.5;
    let quietest = others()
        .filter(finds)
        .min_by(|one, other| rate(*one).total_cmp(&rate(*other)));
    if let Some(quietest) = quietest {
        let least = rate(quietest);
        targets.add(
            &format!("false alarms a process-day, {what}"),
            &format!("< {least:.4} ({}; of those that find half)", quietest.name()),
            format!("{:.4}", ours.false_alarms_per_day()),
            ours.false_alarms_per_day() < least,
        );
    }
}
