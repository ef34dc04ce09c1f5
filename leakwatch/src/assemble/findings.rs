//! From judgements to findings: who it is, and the names of the functions behind it.

use std::{collections::HashMap, sync::Arc};

use super::{Names, Parts, of_image, sites};
use crate::{
    detect::{Judgement, SubjectKey},
    model::{
        finding::{Finding, Holder, Resource, Subject, Verdict},
        identity::ProcessId,
        snapshot::ProcessRow,
    },
    raw::SiteReading,
    subjects::group,
};

/// Every finding, worst first.
pub(super) fn findings<'a>(
    parts: &Parts<'_>,
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
            .max_by_key(|row| (row.level(judgement.resource), row.id));
        match holds_most {
            Some(row) => findings.push(finding(parts, names, judgement, row, counts(row.id.pid))),
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
    names: &mut dyn Names,
    judgement: Judgement,
    row: &ProcessRow,
    counts: &[&SiteReading],
) -> Finding {
    let sites = parts
        .host
        .process(row.id.pid)
        .map(|process| {
            let counts = of_image(process, counts);
            sites::blamed(
                parts,
                names,
                process,
                &counts,
                &judgement.sites,
                judgement.resource,
            )
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
        runtime_version: row.runtime_version.clone(),
        allocator: row.allocator.clone(),
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
        sites,
        holders: holders(parts, row, judgement.resource),
    }
}

/// What the process holds more and more of, with the stacks of its newest census.
fn holders(parts: &Parts<'_>, row: &ProcessRow, resource: Resource) -> Vec<Holder> {
    let now_ns = parts.moment.monotonic_ns;
    let mut holders = parts.detection.holders(now_ns, row.id, resource);
    for holder in &mut holders {
        let views = row.census.iter().flat_map(|census| &census.views);
        let of_runtime = views.filter(|view| view.runtime == holder.runtime);
        let counted = of_runtime
            .flat_map(|view| &view.rows)
            .find(|row| row.counted == holder.counted && row.name == holder.name);
        if let Some(counted) = counted {
            holder.frames.clone_from(&counted.frames);
        }
    }
    holders
}
