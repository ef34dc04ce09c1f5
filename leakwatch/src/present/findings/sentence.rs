//! A finding in one sentence: who leaks what, where, how fast, how sure that is, and when it ends.

use super::{
    holder,
    style::{amount, rate, seconds},
};
use crate::model::{
    finding::{Class, Finding, FindingSite, Resource, Span, Subject, Verdict},
    snapshot::FrameRow,
};
use crate::present::runtime;

/// Digits of a container id that tell it apart, as container tools show it.
const ID_DIGITS: usize = 12;

/// One sentence without a full stop. Names in it are as hostile as the process chose them: whoever shows it cleans it.
pub fn sentence(finding: &Finding) -> String {
    let mut parts = Vec::new();
    let kind = kinds(finding);
    match (
        holder::top_holder(finding),
        finding.sites.first().map(place),
        kind,
    ) {
        (Some(holder), ..) => parts.push(holder::clause(holder)),
        (_, Some(place), Some(kind)) => parts.push(format!("{kind} at {place}")),
        (_, Some(place), None) => parts.push(format!("at {place}")),
        (_, None, Some(kind)) => parts.push(kind),
        (_, None, None) => {}
    }
    if let Some(estimate) = finding.rate_per_second {
        parts.push(rate(finding.resource, estimate.value));
    }
    parts.push(format!("{} in use", amount(finding.resource, finding.in_use)));
    parts.push(format!("confidence {:.2}", finding.confidence));
    parts.extend(reaches(finding));
    let comma = if finding.subject == Subject::Process {
        ""
    } else {
        ","
    };
    format!("{}{comma} {}: {}", who(finding), claim(finding), parts.join(", "))
}

/// Who, as whoever is on call knows it.
pub(super) fn who(finding: &Finding) -> String {
    let process = format!(
        "{} ({}pid {}{})",
        finding.process,
        finding.runtime.as_ref().map_or_else(String::new, |name| {
            let version = finding.runtime_version.as_deref();
            format!("{}, ", runtime::named(name, version))
        }),
        finding.pid,
        finding
            .container
            .as_ref()
            .map_or_else(String::new, |id| format!(", container {}", short(id))),
    );
    match &finding.subject {
        Subject::Process => process,
        Subject::Container(id) => format!("container {}, mostly {process}", short(id)),
        Subject::Unit(name) => format!("{name}, mostly {process}"),
    }
}

/// The resource as a reader of prose knows it.
pub(super) fn things(resource: Resource) -> &'static str {
    match resource {
        Resource::Memory => "memory",
        Resource::Fd => "file descriptors",
        Resource::Thread => "threads",
        Resource::Maps => "mappings",
    }
}

fn claim(finding: &Finding) -> String {
    let things = things(finding.resource);
    match finding.verdict {
        Verdict::Leaking => format!("leaks {things}"),
        Verdict::Suspected => format!("probably leaks {things}"),
        Verdict::Growing => match finding.class.map(looks_like) {
            Some(class) => format!("holds more and more {things}, {class}"),
            None => format!("holds more and more {things}"),
        },
        Verdict::Recovered => format!("leaked {things} and has recovered"),
        Verdict::Ended => format!("leaked {things} until it ended"),
        Verdict::Healthy => format!("does not leak {things}"),
    }
}

fn looks_like(class: Class) -> &'static str {
    match class {
        Class::WarmUp => "as one that has only just started",
        Class::Saturating => "ever more slowly",
        Class::SawTooth => "and gave it back before",
        Class::Fragmentation => "as fragmentation makes it",
        Class::PoolFill => "as a pool that was filled",
        Class::FollowsLoad => "as it has more work",
        Class::NotEnoughData => "with too few readings to say more",
    }
}

/// Which of them, unless the resource says it all.
fn kinds(finding: &Finding) -> Option<String> {
    let kind = finding.kind.as_str();
    (kind != finding.resource.name()).then(|| match (finding.resource, kind) {
        (Resource::Fd, kind) => format!("{kind} descriptors"),
        (_, kind) => kind.to_owned(),
    })
}

/// The function to look at first, and who called it.
fn place(site: &FindingSite) -> String {
    let named = |frame: &&FrameRow| frame.function.is_some();
    let Some(function) = &site.function else {
        return match site.frames.first() {
            Some(frame) => location(frame),
            None => "a place whose stack was not taken".to_owned(),
        };
    };
    let at = site
        .frames
        .iter()
        .position(|frame| frame.function.as_ref() == Some(function));
    let caller = at.and_then(|at| site.frames[at + 1..].iter().find(named));
    match caller.and_then(|frame| frame.function.as_ref()) {
        Some(caller) => format!("{function} <- {caller}"),
        None => function.clone(),
    }
}

/// A frame without a name.
pub(super) fn location(frame: &FrameRow) -> String {
    let file = frame.module.rsplit('/').next().unwrap_or(&frame.module);
    format!("{file}+{:#x}", frame.address)
}

fn reaches(finding: &Finding) -> Option<String> {
    let limit = finding.limit.as_ref()?;
    let name = format!("{} ({})", limit.name, amount(finding.resource, limit.value));
    match finding.seconds_to_limit {
        Some(span) => Some(format!("reaches {name} {}", within(span))),
        None if finding.exhausting => Some(format!(
            "has {} of {name}",
            amount(finding.resource, limit.in_use)
        )),
        None => None,
    }
}

/// When, as an interval.
pub(super) fn within(span: Span) -> String {
    match span.high {
        Some(high) => format!("in {} to {}", seconds(span.low), seconds(high)),
        None => format!("in {} at the earliest", seconds(span.low)),
    }
}

fn short(id: &str) -> &str {
    id.get(..ID_DIGITS).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::{Class, Subject, Verdict, sentence};
    use crate::present::findings::sample;

    #[test]
    fn the_sentence_says_all_of_it() {
        assert_eq!(
            sentence(&sample::leak()),
            "payments (java 17.0, pid 4711, container 8f3a0c8f3a0c) leaks file descriptors: socket descriptors at \
             HttpPool::connect <- Retry::run, +3.1/s, 412 in use, confidence 0.98, reaches RLIMIT_NOFILE (4096) in \
             14m00s to 22m00s"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut finding = sample::growth();
        assert_eq!(
            sentence(&finding),
            "shop.service, mostly worker (pid 99), holds more and more memory, ever more slowly: +20.5 KiB/s, 412 MiB in \
             use, confidence 0.31"
        );
        finding.rate_per_second = None;
        finding.class = None;
        finding.subject = Subject::Process;
        assert_eq!(
            sentence(&finding),
            "worker (pid 99) holds more and more memory: 412 MiB in use, confidence 0.31"
        );
    }

    #[test]
    fn a_site_without_names_has_a_place() {
        let mut finding = sample::leak();
        finding.sites[0].function = None;
        assert!(sentence(&finding).contains("at libc.so.6+0x12345,"));
        finding.sites[0].frames.clear();
        assert!(sentence(&finding).contains("at a place whose stack was not taken,"));
    }

    #[test]
    fn what_a_runtime_has_on_its_books_is_named() {
        let mut finding = sample::growth();
        finding.holders = vec![sample::holder()];
        assert_eq!(
            sentence(&finding),
            "shop.service, mostly worker (pid 99), holds more and more memory, ever more slowly: HttpPool$Lease objects, \
             +9.8/s, 91 % of the growth, +20.5 KiB/s, 412 MiB in use, confidence 0.31"
        );
    }

    #[test]
    fn every_verdict_and_class_has_words() {
        let mut finding = sample::growth();
        let classes = [
            Class::WarmUp,
            Class::Saturating,
            Class::SawTooth,
            Class::Fragmentation,
            Class::PoolFill,
            Class::FollowsLoad,
            Class::NotEnoughData,
        ];
        let mut said = std::collections::BTreeSet::new();
        for class in classes {
            finding.class = Some(class);
            said.insert(sentence(&finding));
        }
        finding.class = None;
        for verdict in Verdict::ALL {
            finding.verdict = verdict;
            said.insert(sentence(&finding));
        }
        assert_eq!(said.len(), classes.len() + Verdict::ALL.len(), "{said:?}");
    }
}
