//! A flame graph as one self-contained SVG: the process on top, what it called below, as wide as what is still held.
//!
//! It says everything without its script; the script adds zoom, search and a layout as wide as the window.

mod draw;

use std::collections::BTreeMap;

use super::{
    Profile, Resource, Sample,
    diff::{Change, Diff},
    file_name, label,
    tree::{Frame, Node},
};
use crate::present::units;

/// What is still held.
pub fn of_profile(profile: &Profile) -> String {
    let mut root = Node {
        name: "all processes".to_owned(),
        ..Node::default()
    };
    for sample in profile.samples.iter().filter(|sample| sample.live > 0) {
        root.add(&stack(sample), sample.live, 0);
    }
    root.sort();
    let subtitle = format!("{} on {}", by_kind(profile), profile.host);
    draw::draw(
        &only_process(root),
        profile.resource,
        &subtitle,
        draw::Colors::Modules,
    )
}

/// What changed: as wide as what is held now, in the colour of the change.
pub fn of_diff(diff: &Diff) -> String {
    let mut root = Node {
        name: "all processes".to_owned(),
        ..Node::default()
    };
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for change in &diff.stacks {
        root.add(&changed_stack(change), change.new, change.base);
        let (base, new) = sums.entry(&change.kind).or_default();
        *base += change.base;
        *new += change.new;
    }
    root.sort();
    let kinds = sums.into_iter().map(|(kind, (base, new))| {
        let [base, new] = [base, new].map(|held| amount(diff.resource, held));
        format!("{kind} {base} to {new}")
    });
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let subtitle = format!("{kinds}; stacks that hold nothing now are not drawn");
    draw::draw(
        &only_process(root),
        diff.resource,
        &subtitle,
        draw::Colors::Change,
    )
}

/// Kinds of memory are not added up: they see the same memory.
fn by_kind(profile: &Profile) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in &profile.samples {
        *sums.entry(&sample.kind).or_default() += sample.live;
    }
    let held = sums.iter().filter(|(_, live)| **live > 0);
    let kinds = held.map(|(kind, live)| format!("{kind} {}", amount(profile.resource, *live)));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    match profile.resource {
        Resource::Memory if sums.len() > 1 => format!("{kinds} (both see the same memory)"),
        Resource::Memory => kinds,
        Resource::Fd | Resource::Thread => format!("{}: {kinds}", units::count(profile.live())),
    }
}

/// A root above one process says nothing.
fn only_process(mut root: Node) -> Node {
    if root.children.len() == 1 {
        root.children.swap_remove(0)
    } else {
        root
    }
}

fn stack(sample: &Sample) -> Vec<Frame> {
    let mut stack = vec![
        plain(format!("{} ({})", sample.process, sample.pid)),
        plain(format!("[{}]", sample.kind)),
    ];
    stack.extend(sample.frames.iter().rev().map(|frame| {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => Some(format!("{file}:{line}")),
            (file, _) => file.clone(),
        };
        let in_module = (!frame.module.is_empty()).then(|| format!("{}+{:#x}", frame.module, frame.address));
        let inlined = frame.inlined.then(|| "inlined".to_owned());
        let reason = frame.reason.as_ref().map(|reason| format!("no name: {reason}"));
        Frame {
            name: label(frame),
            details: [place, in_module, inlined, reason]
                .into_iter()
                .flatten()
                .collect(),
            module: file_name(&frame.module).to_owned(),
        }
    }));
    stack
}

fn changed_stack(change: &Change) -> Vec<Frame> {
    let mut stack = vec![plain(change.process.clone()), plain(format!("[{}]", change.kind))];
    stack.extend(change.frames.iter().rev().cloned().map(plain));
    stack
}

fn plain(name: String) -> Frame {
    Frame {
        name,
        ..Frame::default()
    }
}

fn amount(resource: Resource, amount: u64) -> String {
    match resource {
        Resource::Memory => units::bytes(amount),
        Resource::Fd | Resource::Thread => units::count(amount),
    }
}
