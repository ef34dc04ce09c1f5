//! What could not be read, and why.

use std::collections::BTreeMap;

use super::Explanation;
use crate::{
    model::{census::Census, snapshot::State},
    present::{census, summary},
};

/// Reasons for nameless frames that are told.
const MOST_REASONS: usize = 3;

/// A sentence each.
pub(super) fn unread(explanation: &Explanation) -> Vec<String> {
    let process = &explanation.process;
    let mut said = Vec::new();
    if explanation.ended {
        said.push("the process has ended: this is what was seen shortly before".to_owned());
    }
    if process.exe.is_none() {
        said.push(
            "its executable cannot be read: it may be in another namespace, or not yours to see".to_owned(),
        );
    }
    if process.state == State::Observing {
        said.push("it was watched too briefly to judge it: a longer --duration helps".to_owned());
    }
    match &explanation.last_census {
        Some(last) => {
            said.extend(unknown(last));
        }
        None => said.push(
            "the books of its runtime and allocator: leakwatch knows none of it, or the time was too short"
                .to_owned(),
        ),
    }
    match &explanation.answers {
        Some(Ok(answers)) => {
            said.extend(unknown(&answers.last).map(|why| format!("asked by --attach, {why}")));
        }
        Some(Err(why)) => said.push(format!("what its runtime would answer: {why}")),
        None => {}
    }
    let before = process.unattributed;
    if before.fds > 0 || before.threads > 0 {
        said.push(format!(
            "who opened {} descriptors and started {} threads: that was before leakwatch came, or not seen by any probe",
            before.fds, before.threads
        ));
    }
    said.extend(nameless(explanation));
    if let Some(snapshot) = explanation.snapshot() {
        said.extend(summary::problems(&snapshot.health));
    }
    said
}

/// What runtimes and allocators cannot say.
fn unknown(census: &Census) -> impl Iterator<Item = String> {
    census.views.iter().filter_map(|view| {
        let why = view.unknown.as_ref()?;
        Some(format!("{}: {why}", census::title(view)))
    })
}

/// Why frames have no names, the most frequent reasons first.
fn nameless(explanation: &Explanation) -> Vec<String> {
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for frame in explanation.process.sites.iter().flat_map(|site| &site.frames) {
        if let (None, Some(reason)) = (&frame.function, &frame.reason) {
            *reasons.entry((&frame.module, reason)).or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    let told = reasons.into_iter().take(MOST_REASONS);
    told.map(|((module, reason), count)| format!("the names of {count} frames in {module}: {reason}"))
        .collect()
}
