//! What leakwatch said about a program, against what is so.

use std::time::Duration;

use leakwatch::model::finding::{Finding, Verdict};

use crate::program::{Form, Subject};

/// Everything that was said about one program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The worst verdict on anything, and when it was said first.
    worst: Option<(Verdict, Finding)>,
    /// The last finding about what leaks.
    last: Option<Finding>,
    /// When it was first named.
    named_at: Option<Duration>,
}

impl Said {
    /// Hears the findings about it at one moment, worst first.
    pub(crate) fn hear(&mut self, subject: &Subject, at: Duration, findings: &[Finding]) {
        for finding in findings {
            if self
                .worst
                .as_ref()
                .is_none_or(|(worst, _)| finding.verdict > *worst)
            {
                self.worst = Some((finding.verdict, finding.clone()));
            }
        }
        let about = findings
            .iter()
            .find(|finding| Some(finding.resource) == subject.case.resource);
        if let Some(finding) = about {
            let is_named = named(finding, &subject.case.names).is_some();
            if is_named {
                self.named_at.get_or_insert(at);
            }
            // What is said last counts, unless it ended just then.
            if finding.verdict != Verdict::Ended {
                self.last = Some(finding.clone());
            }
        }
    }
}

/// Where in a finding what leaks is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) how: &'static str,
    pub(crate) name: String,
}

/// One of `names` in the first site or holder of a finding.
fn named(finding: &Finding, names: &[String]) -> Option<Named> {
    let fits = |text: &str| names.iter().any(|name| text.contains(name.as_str()));
    let site = finding.sites.first();
    let function = site.and_then(|site| site.function.clone());
    if let Some(name) = function.filter(|function| fits(function)) {
        return Some(Named {
            how: "function",
            name,
        });
    }
    let frames = site.into_iter().flat_map(|site| &site.frames);
    let name = frames
        .filter_map(|frame| frame.function.clone())
        .find(|name| fits(name));
    name.map(|name| Named {
        how: "in its stack",
        name,
    })
}

/// A program, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) said: Said,
    /// Why it could not be watched to the end.
    pub(crate) broken: Option<String>,
}

impl Row {
    /// The last verdict on what leaks; of a healthy program the worst on anything.
    pub(crate) fn verdict(&self) -> Verdict {
        let of = match self.subject.form {
            Form::Leaky => self.said.last.as_ref().map(|finding| finding.verdict),
            Form::Fixed | Form::Healthy => self.said.worst.as_ref().map(|(verdict, _)| *verdict),
        };
        of.unwrap_or(Verdict::Healthy)
    }

    /// How what leaks is named in the end.
    pub(crate) fn named(&self) -> Option<Named> {
        named(self.said.last.as_ref()?, &self.subject.case.names)
    }

    pub(crate) fn named_at(&self) -> Option<Duration> {
        self.said.named_at
    }

    /// Whether it is as it should be.
    pub(crate) fn is_right(&self) -> bool {
        self.broken.is_none()
            && match self.subject.form {
                Form::Leaky => self.named().is_some(),
                Form::Fixed | Form::Healthy => self.verdict() < Verdict::Suspected,
            }
    }

    /// What is wrong with it, unless that is known and said.
    pub(crate) fn failure(&self) -> Option<String> {
        let is_known = self.subject.case.unsupported.is_some() && self.subject.form == Form::Leaky;
        (!self.is_right() && !is_known).then(|| self.explanation())
    }

    /// What was said, in a few lines.
    pub(crate) fn explanation(&self) -> String {
        let label = self.subject.label();
        if let Some(broken) = &self.broken {
            return format!("{label}: {broken}");
        }
        let finding = match self.subject.form {
            Form::Leaky => self.said.last.as_ref(),
            Form::Fixed | Form::Healthy => self.said.worst.as_ref().map(|(_, finding)| finding),
        };
        let Some(finding) = finding else {
            return format!("{label}: nothing was said");
        };
        let site = finding.sites.first();
        let evidence: Vec<&str> = finding.evidence.iter().map(|of| of.text.as_str()).collect();
        format!(
            "{label}: {} {} at {} ({:.2}): {}",
            finding.verdict.name(),
            finding.resource.name(),
            site.and_then(|site| site.function.as_deref()).unwrap_or("?"),
            finding.confidence,
            evidence.join("; ")
        )
    }
}
