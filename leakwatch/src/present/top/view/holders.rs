//! What a finding's runtimes hold more and more of.

use ratatui::text::{Line, Span};

use super::lines;
use crate::{
    model::finding::Finding,
    present::{
        findings,
        top::theme::{Role, Theme},
    },
};

/// A line each, the most suspicious first; nothing where no books were read.
pub(super) fn lines(theme: Theme, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let held = finding.holders.iter().map(|holder| {
        Line::from(vec![
            Span::styled("holds ", theme.style(Role::Quiet)),
            Span::raw(theme.text(&findings::holder(holder)).into_owned()),
        ])
    });
    held.flat_map(|line| lines::prose(line, width)).collect()
}
