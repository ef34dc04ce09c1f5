//! What the detector says of one resource of one subject.

use std::cmp::Reverse;

use leakwatch_common::kind::Kind;

use super::subject::SubjectKey;
use crate::model::{
    finding::{Class, Estimate, Evidence, Limit, Resource, Span, Verdict},
    identity::ProcessId,
    stack::StackId,
};

/// One verdict with its reasons. The fields are those of [`crate::model::finding::Finding`], before names are looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Who.
    pub subject: SubjectKey,
    /// The process; `None` of a group.
    pub process: Option<ProcessId>,
    /// What.
    pub resource: Resource,
    /// Which kind of it.
    pub kind: String,
    /// Where it stands.
    pub verdict: Verdict,
    /// What it looks like when it is not a leak.
    pub class: Option<Class>,
    /// Probability that it leaks, 0 to 1.
    pub confidence: f64,
    /// How fast it grows, per second.
    pub rate: Option<Estimate>,
    /// How much is held now.
    pub in_use: u64,
    /// The limit that is reached first.
    pub limit: Option<Limit>,
    /// When that is, seconds from now.
    pub seconds_to_limit: Option<Span>,
    /// Whether it is reached within ten minutes at the latest.
    pub exhausting: bool,
    /// When it was first suspected, milliseconds since the epoch.
    pub since_unix_ms: Option<u64>,
    /// Why, strongest first.
    pub evidence: Vec<Evidence>,
    /// Who did it, most suspicious first.
    pub sites: Vec<(Kind, StackId)>,
}

/// Worst first; equal ones by who and what, so that the order is always the same.
pub(super) fn sort(judgements: &mut [Judgement]) {
    judgements.sort_by(|a, b| {
        let rank = |judgement: &Judgement| Reverse((judgement.verdict, judgement.exhausting));
        rank(a)
            .cmp(&rank(b))
            .then_with(|| b.confidence.total_cmp(&a.confidence))
            .then_with(|| (&a.subject, a.resource).cmp(&(&b.subject, b.resource)))
    });
}
