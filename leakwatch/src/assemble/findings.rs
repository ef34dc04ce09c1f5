//! From judgements to findings: who it is, and the names of the functions behind it.

use std::{collections::HashMap, sync::Arc};

use leakwatch_common::kind::Kind;

use super::{Names, Parts, of_image, sites};
use crate::{
    attribute::Facts,
    detect::{Judgement, SubjectKey},
    model::{
        finding::{Finding, FindingSite, Resource, Subject, Verdict},
        identity::ProcessId,
        snapshot::{ProcessRow, SiteRow},
        stack::StackId,
    },
    raw::SiteReading,
    subjects::group,
};

/// Sites that a finding carries at most.
const SITES: usize = 5;

/// Every finding, worst first.
pub(super) fn findings<'a>(
    parts: &Parts<'_>,
    facts: &mut dyn Facts,
    names: &mut dyn Names,
    rows: &[ProcessRow],
    counts: &dyn Fn(u32) -> &'a [&'a SiteReading],
) -> Vec<Finding> {
    let judgements = parts.detection.judgements();
    let accused: HashMap<(ProcessId, Resource), Verdict> = judgements
        .iter()
        .filter_map(|judgement| Some(((judgement.process?, judgement.resource), judgement.verdict)))
        .collect();
    let mut findings = Vec::with_capacity(judgements.len());
    for judgement in judgements {
        let members = members(parts, rows, &judgement.subject);
        let is_said_already = judgement.process.is_none()
            && members.iter().any(|row| {
                let of_member = accused.get(&(row.id, judgement.resource));
                of_member.is_some_and(|verdict| *verdict >= judgement.verdict) || members.len() == 1
            });
        if is_said_already {
            continue;
        }
        let holds_most = members
            .iter()
            .max_by_key(|row| (level(row, judgement.resource), row.id));
        match holds_most {
            Some(row) => findings.push(finding(parts, facts, names, judgement, row, counts(row.id.pid))),
            None => findings.extend(ended(parts, judgement)),
        }
    }
    findings
}

fn members<'a>(parts: &Parts<'_>, rows: &'a [ProcessRow], subject: &SubjectKey) -> Vec<&'a ProcessRow> {
    match subject {
        SubjectKey::Process(id) => rows
            .binary_search_by_key(&id.pid, |row| row.id.pid)
            .ok()
            .map(|index| &rows[index])
            .filter(|row| row.id == *id)
            .into_iter()
            .collect(),
        SubjectKey::Container(_) | SubjectKey::Unit(_) => rows
            .iter()
            .filter(|row| group(parts.attribution, &row.id).as_ref() == Some(subject))
            .collect(),
    }
}

fn level(row: &ProcessRow, resource: Resource) -> u64 {
    match resource {
        Resource::Memory => row.rss_anon_bytes + row.swap_bytes,
        Resource::Fd => u64::from(row.fds),
        Resource::Thread => u64::from(row.threads),
        Resource::Maps => u64::from(row.maps),
    }
}

/// Who has ended cannot be asked any more: what was said of it last, with what is said of it now.
fn ended(parts: &Parts<'_>, judgement: Judgement) -> Option<Finding> {
    let subject = subject(&judgement.subject);
    let before = parts.before.iter().find(|finding| {
        let id = judgement.process;
        finding.resource == judgement.resource
            && finding.subject == subject
            && id.is_none_or(|id| (finding.pid, finding.start_time_ns) == (id.pid, id.start_time_ns))
    })?;
    Some(Finding {
        verdict: judgement.verdict,
        class: judgement.class,
        confidence: judgement.confidence,
        rate_per_second: None,
        seconds_to_limit: None,
        exhausting: false,
        evidence: judgement.evidence,
        ..before.clone()
    })
}

fn subject(key: &SubjectKey) -> Subject {
    match key {
        SubjectKey::Process(_) => Subject::Process,
        SubjectKey::Container(id) => Subject::Container(Arc::clone(id)),
        SubjectKey::Unit(name) => Subject::Unit(Arc::clone(name)),
    }
}

/// The finding that says what `judgement` means. `row` is that of the process, or of the member of the group that holds most.
fn finding(
    parts: &Parts<'_>,
    facts: &mut dyn Facts,
    names: &mut dyn Names,
    judgement: Judgement,
    row: &ProcessRow,
    counts: &[&SiteReading],
) -> Finding {
    let sites = parts
        .host
        .process(row.id.pid)
        .map(|process| {
            let wanted = |kind: Kind| is_of(kind, judgement.resource);
            let counts = of_image(process, counts);
            sites::blamed(parts, facts, names, process, &counts, &judgement.sites, &wanted)
        })
        .unwrap_or_default();
    Finding {
        subject: subject(&judgement.subject),
        pid: row.id.pid,
        start_time_ns: row.id.start_time_ns,
        process: row.name.clone(),
        exe: row.exe.clone(),
        cmdline: row.cmdline.clone(),
        runtime: row.runtime.clone(),
        container: row.container_id.clone(),
        resource: judgement.resource,
        kind: judgement.kind,
        verdict: judgement.verdict,
        class: judgement.class,
        confidence: judgement.confidence,
        rate_per_second: judgement.rate,
        in_use: judgement.in_use,
        limit: judgement.limit,
        seconds_to_limit: judgement.seconds_to_limit,
        exhausting: judgement.exhausting,
        since_unix_ms: judgement.since_unix_ms,
        evidence: judgement.evidence,
        sites: of_rows(sites),
    }
}

/// Whether what this kind of site takes counts as this resource.
fn is_of(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Fd => kind.is_fd(),
        Resource::Thread => kind == Kind::Thread,
        Resource::Maps => kind == Kind::Mapping,
        Resource::Memory => matches!(kind, Kind::FirstTouch | Kind::Mapping | Kind::BrkGrow),
    }
}

fn of_rows(rows: Vec<SiteRow>) -> Vec<FindingSite> {
    let amount = |row: &SiteRow| match row.kind.as_str() {
        "first_touch" | "mapping" => row.live_bytes.unwrap_or(0),
        _ => row.live.unwrap_or(0),
    } as f64;
    let all: f64 = rows.iter().map(amount).sum();
    let site = |row: SiteRow| FindingSite {
        share: if all > 0.0 { amount(&row) / all } else { 0.0 },
        kind: row.kind,
        function: row.function,
        live: row.live,
        bytes: row.live_bytes,
        oldest_seconds: row.oldest_ns.map(|age| age as f64 / 1e9),
        frames: row.frames,
    };
    rows.into_iter().map(site).take(SITES).collect()
}

/// Where a site stands in the list of suspects; the last place for who is none.
pub(super) fn rank(suspects: &[(Kind, StackId)], kind: &str, stack: Option<StackId>) -> usize {
    suspects
        .iter()
        .position(|&(of, at)| of.name() == kind && Some(at) == stack)
        .unwrap_or(usize::MAX)
}
