//! What was said, held against what is so.

use leakwatch::model::finding::{Finding, Verdict};
use leakwatch_tests::sites;

use crate::{
    catalog::{Leak, Role},
    program::Form,
    timeline::{Said, Timeline},
};

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A leak is called one.
    Found,
    /// A leak is suspected, and not more within the time.
    Suspected,
    /// A leak is not suspected.
    Missed,
    /// Nothing is said against what is healthy.
    Quiet,
    /// Something healthy was suspected, or worse.
    FalseAlarm,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Suspected => "suspected",
            Self::Missed => "MISSED",
            Self::Quiet => "quiet",
            Self::FalseAlarm => "FALSE ALARM",
        }
    }
}

/// Whether the function to look at first is the one that leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credit {
    /// It is.
    Function,
    /// It is in the stack of the first site.
    InStack,
    /// It is not, or has no name.
    None,
}

/// What was said that decides: about what leaks; of what is healthy the worst.
pub(crate) fn decisive(role: Role, form: Form, timeline: &Timeline) -> Option<&Said> {
    match (role, form) {
        (Role::Leak(leak), Form::Leaky) => timeline.worst_of(leak.resource),
        _ => timeline.worst(),
    }
}

/// How good the answer is.
pub(crate) fn outcome(form: Form, said: Option<&Said>) -> Outcome {
    let worst = said.map_or(Verdict::Healthy, |said| said.worst);
    if form != Form::Leaky {
        return if worst >= Verdict::Suspected {
            Outcome::FalseAlarm
        } else {
            Outcome::Quiet
        };
    }
    // A leak that was taken back while it went on is not found.
    match said.map_or(Verdict::Healthy, |said| said.last.min(said.worst)) {
        Verdict::Leaking => Outcome::Found,
        Verdict::Suspected => Outcome::Suspected,
        _ => Outcome::Missed,
    }
}

/// Whether `finding` blames who leaks.
pub(crate) fn credit(leak: &Leak, finding: &Finding) -> Credit {
    let Some(first) = finding.sites.first() else {
        return Credit::None;
    };
    let mut frames = first.frames.iter().map(|frame| frame.function.as_deref());
    if is_it(first.function.as_deref(), leak.site) {
        Credit::Function
    } else if frames.any(|function| is_it(function, leak.site)) {
        Credit::InStack
    } else {
        Credit::None
    }
}

/// Whether `function` is `name`, or a closure or a helper whose name begins with it.
fn is_it(function: Option<&str>, name: &str) -> bool {
    sites::is_named(function, name)
        || function
            .and_then(|function| function.strip_prefix(name))
            .is_some_and(|rest| {
                rest.starts_with(|first: char| !first.is_alphanumeric() || first.is_uppercase())
            })
}

/// Whether an outcome fails the run.
pub(crate) fn fails(role: Role, outcome: Outcome) -> bool {
    match (role, outcome) {
        (_, Outcome::FalseAlarm) => true,
        (Role::Leak(leak), Outcome::Missed) => leak.required,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leakwatch::model::finding::{FindingSite, Resource, Verdict};
    use leakwatch_tests::findings::{finding, site};

    use super::{Credit, Outcome, credit, decisive, fails, outcome};
    use crate::{
        catalog::{Grower, Leak, Role},
        program::Form,
        timeline::Timeline,
    };

    const LEAK: Leak = Leak {
        resource: Resource::Fd,
        what: "files",
        site: "readUpload",
        required: true,
    };

    fn said(verdicts: &[(Resource, Verdict)]) -> Timeline {
        let mut timeline = Timeline::default();
        for &(resource, verdict) in verdicts {
            timeline.hear(Duration::from_secs(1), finding(resource, verdict, 0.5));
        }
        timeline
    }

    fn judged(form: Form, verdicts: &[(Resource, Verdict)]) -> Outcome {
        let timeline = said(verdicts);
        outcome(form, decisive(Role::Leak(LEAK), form, &timeline))
    }

    #[test]
    fn a_leak_is_found_only_by_what_it_leaks() {
        assert_eq!(
            judged(Form::Leaky, &[(Resource::Fd, Verdict::Leaking)]),
            Outcome::Found
        );
        assert_eq!(
            judged(Form::Leaky, &[(Resource::Fd, Verdict::Suspected)]),
            Outcome::Suspected
        );
        assert_eq!(
            judged(Form::Leaky, &[(Resource::Memory, Verdict::Leaking)]),
            Outcome::Missed
        );
        assert_eq!(judged(Form::Leaky, &[]), Outcome::Missed);
    }

    #[test]
    fn a_leak_that_was_taken_back_is_missed() {
        let verdicts = [
            (Resource::Fd, Verdict::Leaking),
            (Resource::Fd, Verdict::Recovered),
        ];
        assert_eq!(judged(Form::Leaky, &verdicts), Outcome::Missed);
    }

    #[test]
    fn anything_said_against_a_twin_is_a_false_alarm_even_when_taken_back() {
        let verdicts = [
            (Resource::Memory, Verdict::Suspected),
            (Resource::Memory, Verdict::Growing),
        ];
        assert_eq!(judged(Form::Fixed, &verdicts), Outcome::FalseAlarm);
        assert_eq!(
            judged(Form::Fixed, &[(Resource::Fd, Verdict::Growing)]),
            Outcome::Quiet
        );
        assert_eq!(judged(Form::Grower, &[]), Outcome::Quiet);
    }

    #[test]
    fn a_slow_leak_may_be_missed_and_a_false_alarm_never_passes() {
        let slow = Role::Leak(Leak {
            required: false,
            ..LEAK
        });
        assert!(!fails(slow, Outcome::Missed));
        assert!(fails(Role::Leak(LEAK), Outcome::Missed));
        assert!(!fails(Role::Leak(LEAK), Outcome::Suspected));
        let grower = Role::Grower(Grower {
            resource: Resource::Fd,
            what: "sessions",
        });
        assert!(fails(grower, Outcome::FalseAlarm));
    }

    #[test]
    fn credit_is_for_the_first_site() {
        let of = |sites: Vec<FindingSite>| {
            let mut finding = finding(Resource::Fd, Verdict::Leaking, 0.9);
            finding.sites = sites;
            credit(&LEAK, &finding)
        };
        assert_eq!(of(vec![site("readUpload", &[])]), Credit::Function);
        assert_eq!(of(vec![site("open", &["open", "readUpload"])]), Credit::InStack);
        assert_eq!(
            of(vec![site("open", &["open"]), site("readUpload", &[])]),
            Credit::None
        );
        assert_eq!(of(vec![site("readUploads", &[])]), Credit::None);
        assert_eq!(of(Vec::new()), Credit::None);
    }
}
