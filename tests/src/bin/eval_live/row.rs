//! One program in one form, and how it was judged.

use std::time::Duration;

use leakwatch::model::finding::{Resource, Verdict};

use crate::{
    catalog::{Case, Role},
    growth,
    judge::{self, Credit, Outcome},
    program::{Form, Held, Running},
    timeline::{Said, Timeline},
};

/// Sites that an explanation names.
const SITES: usize = 3;

/// What a program is, and what it really does.
pub(crate) const PROGRAM: [&str; 4] = ["program", "form", "of", "really, a second"];
/// What leakwatch says about it.
pub(crate) const SAID: [&str; 7] = [
    "verdict",
    "confidence",
    "suspected, s",
    "leaking, s",
    "said, a second",
    "first function",
    "outcome",
];

/// One program in one form, and how it was judged.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) form: Form,
    /// What decides.
    said: Option<Said>,
    pub(crate) outcome: Outcome,
    /// By `/proc`, of what leaks, would leak, or grows.
    pub(crate) growth: Option<f64>,
    /// What else is suspected of it.
    aside: Vec<Resource>,
}

impl Row {
    pub(crate) fn new(program: &Running, timeline: &Timeline) -> Self {
        Self::judged(program.case, program.form, program.held(), timeline)
    }

    fn judged(case: Case, form: Form, held: &[Held], timeline: &Timeline) -> Self {
        let said = judge::decisive(case.role, form, timeline);
        let heard = said.map(|said| said.finding.resource);
        let suspected = |of: &Resource| {
            timeline
                .worst_of(*of)
                .is_some_and(|said| said.worst >= Verdict::Suspected)
        };
        Self {
            case,
            form,
            outcome: judge::outcome(form, said),
            growth: growth::per_second(held, case.role.resource()),
            aside: Resource::ALL
                .into_iter()
                .filter(|of| heard != Some(*of) && suspected(of))
                .collect(),
            said: said.cloned(),
        }
    }

    /// Whether this row fails the run.
    pub(crate) fn fails(&self) -> bool {
        judge::fails(self.case.role, self.outcome)
    }

    /// Whether the first function is right; `None` where there is no verdict or no leak.
    pub(crate) fn credit(&self) -> Option<Credit> {
        let (Role::Leak(leak), Form::Leaky, Some(said)) = (self.case.role, self.form, &self.said) else {
            return None;
        };
        (said.worst >= Verdict::Suspected).then(|| judge::credit(&leak, &said.finding))
    }

    /// What was said that decides, with its reasons; `None` where that is as it should be.
    pub(crate) fn explanation(&self) -> Option<String> {
        if matches!(self.outcome, Outcome::Found | Outcome::Quiet) {
            return None;
        }
        let mut lines = vec![format!(
            "{} {}/s ({}): {}, confidence {:.2}",
            self.case.name,
            self.case.rate,
            self.form.name(),
            self.verdict(),
            self.said.as_ref().map_or(0.0, |said| said.finding.confidence)
        )];
        for finding in self.said.iter().map(|said| &said.finding) {
            let reasons = finding.evidence.iter();
            lines.extend(
                reasons
                    .map(|reason| format!("    {:+5.1} {}: {}", reason.log_odds, reason.name, reason.text)),
            );
            lines.extend(finding.sites.iter().take(SITES).map(|site| {
                let function = site.function.as_deref().unwrap_or("-");
                format!(
                    "    {} in {function}: {:?} of {:.2}",
                    site.kind, site.live, site.share
                )
            }));
        }
        Some(lines.join("\n"))
    }

    /// The cells under [`PROGRAM`].
    pub(crate) fn program(&self) -> [String; PROGRAM.len()] {
        [
            format!("{} {}/s", self.case.name, self.case.rate),
            format!("{}, {}", self.case.language.name(), self.form.name()),
            self.case.role.what().to_owned(),
            amount(self.case.role.resource(), self.growth),
        ]
    }

    /// The cells under [`SAID`].
    pub(crate) fn said(&self) -> [String; SAID.len()] {
        let said = self.said.as_ref();
        let rate = said.and_then(|said| Some((said.finding.resource, said.finding.rate_per_second?.value)));
        [
            self.verdict(),
            said.map_or_else(dash, |said| format!("{:.2}", said.finding.confidence)),
            seconds(said.and_then(|said| said.suspected)),
            seconds(said.and_then(|said| said.leaking)),
            rate.map_or_else(dash, |(resource, rate)| amount(resource, Some(rate))),
            self.first_function(),
            self.outcome_text(),
        ]
    }

    fn verdict(&self) -> String {
        let Some(said) = &self.said else {
            return "healthy".to_owned();
        };
        let mut words = Vec::new();
        if said.finding.resource != self.case.role.resource() {
            words.push(format!("{}:", said.finding.resource.name()));
        }
        words.push(said.worst.name().to_owned());
        if said.last != said.worst {
            words.push(format!("then {}", said.last.name()));
        }
        words.extend(said.finding.class.map(|class| format!("({})", class.name())));
        words.join(" ")
    }

    fn first_function(&self) -> String {
        let site = self.said.as_ref().and_then(|said| said.finding.sites.first());
        let name = site.and_then(|site| site.function.clone()).unwrap_or_else(dash);
        match self.credit() {
            Some(Credit::Function) => format!("{name}: right"),
            Some(Credit::InStack) => format!("{name}: right is in its stack"),
            Some(Credit::None) => format!("{name}: not right"),
            None => dash(),
        }
    }

    fn outcome_text(&self) -> String {
        let name = self.outcome.name();
        if self.aside.is_empty() {
            return name.to_owned();
        }
        let aside: Vec<_> = self.aside.iter().map(|resource| resource.name()).collect();
        format!("{name}, also {}", aside.join(" "))
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or_else(dash, |duration| format!("{:.0}", duration.as_secs_f64()))
}

fn amount(resource: Resource, per_second: Option<f64>) -> String {
    match (resource, per_second) {
        (_, None) => dash(),
        (Resource::Memory, Some(bytes)) => format!("{:.0} KiB", bytes / 1024.0),
        (_, Some(things)) => format!("{things:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leakwatch::model::finding::{Resource, Verdict};
    use leakwatch_tests::findings::finding;

    use super::{PROGRAM, Row, SAID};
    use crate::{catalog::CASES, judge::Outcome, program::Form, program::Held, timeline::Timeline};

    fn cell(row: &Row, heading: &str) -> String {
        let headings = PROGRAM.into_iter().chain(SAID);
        let mut cells = headings.zip(row.program().into_iter().chain(row.said()));
        cells.find(|(name, _)| *name == heading).expect("a heading").1
    }

    #[test]
    fn a_row_says_what_is_so_beside_what_was_said() {
        let mut timeline = Timeline::default();
        let case = CASES
            .iter()
            .find(|case| case.name == "lost_replies")
            .expect("in the catalog");
        timeline.hear(
            Duration::from_secs(12),
            finding(Resource::Thread, Verdict::Suspected, 0.6),
        );
        timeline.hear(
            Duration::from_secs(31),
            finding(Resource::Thread, Verdict::Leaking, 0.97),
        );
        timeline.hear(
            Duration::from_secs(40),
            finding(Resource::Maps, Verdict::Suspected, 0.5),
        );
        let held: Vec<_> = (0..9)
            .map(|index| Held::threads_at(Duration::from_secs(index * 10), index * 100))
            .collect();
        let row = Row::judged(*case, Form::Leaky, &held, &timeline);
        assert_eq!(row.outcome, Outcome::Found);
        assert_eq!(cell(&row, "really, a second"), "10.0");
        assert_eq!(cell(&row, "suspected, s"), "12");
        assert_eq!(cell(&row, "leaking, s"), "31");
        assert_eq!(cell(&row, "outcome"), "found, also maps");
        assert_eq!(cell(&row, "first function"), "-: not right");
    }
}
