//! What leakwatch said about a program, against what is so.

use std::time::Duration;

use leakwatch::model::{
    census::Counted,
    finding::{Finding, Verdict},
    snapshot::FrameRow,
};

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

/// One of `names` in the first site or holder of a finding: the function to look at first, else what is held, else their stacks.
fn named(finding: &Finding, names: &[String]) -> Option<Named> {
    let fits = |text: &&str| names.iter().any(|name| text.contains(name.as_str()));
    let in_stack = |frames: &[FrameRow]| {
        let mut functions = frames.iter().filter_map(|frame| frame.function.as_deref());
        functions.find(fits).map(str::to_owned)
    };
    let site = finding.sites.first();
    let holder = finding.holders.first();
    let function = || site?.function.as_deref().filter(fits).map(str::to_owned);
    let thing = || {
        let holder = holder?;
        let name = Some(holder.name.as_str()).filter(fits)?.to_owned();
        Some((how(holder.counted), name))
    };
    let waits = || Some((how_in_stack(holder?.counted), in_stack(&holder?.frames)?));
    let stack = || Some(("in the stack", in_stack(&site?.frames)?));
    let found = function()
        .map(|name| ("function", name))
        .or_else(thing)
        .or_else(waits)
        .or_else(stack);
    found.map(|(how, name)| Named { how, name })
}

/// What a holder is, in a word.
fn how(counted: Counted) -> &'static str {
    match counted {
        Counted::Goroutine => "goroutine",
        Counted::AllocationSite => "allocation site",
        Counted::Class => "class",
        Counted::Type => "type",
        Counted::ThreadPool => "thread pool",
        Counted::HeapSpace => "part of the heap",
        Counted::SizeClass => "size of chunks",
        Counted::BeamProcess => "Erlang process",
    }
}

/// Whose stack it is.
fn how_in_stack(counted: Counted) -> &'static str {
    match counted {
        Counted::Goroutine => "in the goroutine's stack",
        Counted::AllocationSite => "in the stack of the allocation",
        Counted::ThreadPool => "in the threads' stack",
        Counted::Class | Counted::Type | Counted::HeapSpace | Counted::SizeClass | Counted::BeamProcess => {
            "in the holder's stack"
        }
    }
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
        let sites = finding.sites.iter().map(|site| {
            let function = site.function.as_deref().unwrap_or("?");
            format!("{function} {:.2}", site.share)
        });
        let holders = finding.holders.iter().map(|holder| {
            let count = holder.counted.name();
            format!("{count} {} {:.2}", holder.name, holder.share)
        });
        let evidence = finding.evidence.iter().map(|of| of.text.clone());
        let all = |texts: Vec<String>| texts.join("; ");
        format!(
            "{label}: {} {} ({:.2}), sites: {}, holders: {}, evidence: {}",
            finding.verdict.name(),
            finding.resource.name(),
            finding.confidence,
            all(sites.collect()),
            all(holders.collect()),
            all(evidence.collect()),
        )
    }
}

#[cfg(test)]
mod tests {
    use leakwatch::model::finding::{FindingSite, Holder, Resource};
    use leakwatch_tests::findings::{self, frames, site};

    use super::*;

    fn holder(counted: Counted, name: &str, stack: &[&str]) -> Holder {
        Holder {
            counted,
            runtime: "any".to_owned(),
            name: name.to_owned(),
            count: 1,
            bytes: None,
            rate_per_second: 1.0,
            bytes_per_second: None,
            share: 1.0,
            oldest_seconds: None,
            frames: frames(stack),
        }
    }

    fn finding(sites: Vec<FindingSite>, holders: Vec<Holder>) -> Finding {
        Finding {
            sites,
            holders,
            ..findings::finding(Resource::Memory, Verdict::Growing, 0.1)
        }
    }

    fn how(sites: Vec<FindingSite>, holders: Vec<Holder>) -> Option<(&'static str, String)> {
        let names = ["Session".to_owned(), "openSession".to_owned()];
        named(&finding(sites, holders), &names).map(|named| (named.how, named.name))
    }

    #[test]
    fn what_comes_first_names_it() {
        let some = |how: &'static str, name: &str| Some((how, name.to_owned()));
        let page = || site("renderPage", &["malloc", "renderPage"]);
        let class = holder(Counted::Class, "Shop$Session", &[]);
        assert_eq!(
            how(vec![page()], vec![class.clone()]),
            some("class", "Shop$Session")
        );
        let opened = site("openSession", &[]);
        assert_eq!(
            how(vec![opened], vec![class.clone()]),
            some("function", "openSession")
        );
        let waits = holder(Counted::Goroutine, "main.main", &["park", "main.openSession"]);
        assert_eq!(
            how(Vec::new(), vec![waits]),
            some("in the goroutine's stack", "main.openSession")
        );
        let below = site("malloc", &["malloc", "Shop.openSession"]);
        assert_eq!(
            how(vec![below], Vec::new()),
            some("in the stack", "Shop.openSession")
        );
    }

    #[test]
    fn what_comes_second_does_not() {
        let other = || site("renderPage", &["renderPage"]);
        let class = || holder(Counted::Class, "Shop$Session", &[]);
        let bytes = || holder(Counted::Class, "[B", &[]);
        assert_eq!(how(vec![other(), site("openSession", &[])], Vec::new()), None);
        assert_eq!(how(Vec::new(), vec![bytes(), class()]), None);
        assert_eq!(how(Vec::new(), Vec::new()), None);
    }
}
