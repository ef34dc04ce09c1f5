//! What changed between two profiles, stack by stack.
//!
//! Stacks are compared by what they are called, and processes by name: pids and addresses differ after a restart.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::json;

use super::{Profile, Resource, folded::safe, label};
use crate::present::{text, units};

/// The difference of two profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// What both count.
    pub resource: Resource,
    /// Every stack of either; what grew most first, what shrank most last.
    pub stacks: Vec<Change>,
}

/// Somebody holds more or less than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The process's name.
    pub process: String,
    /// Kind of what is held.
    pub kind: String,
    /// The function to look at first: as the profile says, or else the innermost frame that is not internal by its name.
    pub function: String,
    /// Labels, innermost first; empty for a sum over stacks.
    pub frames: Vec<String>,
    /// Held before.
    pub base: u64,
    /// Held now.
    pub new: u64,
}

/// The profiles count different things.
#[derive(Debug, thiserror::Error)]
#[error("one counts {}, the other {}", base.name(), new.name())]
pub struct Mismatch {
    base: Resource,
    new: Resource,
}

impl Change {
    /// By how much it grew.
    pub fn delta(&self) -> i128 {
        i128::from(self.new) - i128::from(self.base)
    }
}

impl Diff {
    /// What `new` holds that `base` did not, and the other way round.
    ///
    /// # Errors
    /// When they count different things.
    pub fn between(base: &Profile, new: &Profile) -> Result<Self, Mismatch> {
        if base.resource != new.resource {
            return Err(Mismatch {
                base: base.resource,
                new: new.resource,
            });
        }
        let mut stacks = BTreeMap::new();
        add(&mut stacks, base, |change| &mut change.base);
        add(&mut stacks, new, |change| &mut change.new);
        Ok(Self {
            resource: new.resource,
            stacks: most_grown_first(stacks.into_values().collect()),
        })
    }

    /// The changes summed by process, kind and function, in the same order; without those that cancel out.
    pub fn by_function(&self) -> Vec<Change> {
        let mut sums: BTreeMap<(&str, &str, &str), Change> = BTreeMap::new();
        for change in &self.stacks {
            let key = (
                change.process.as_str(),
                change.kind.as_str(),
                change.function.as_str(),
            );
            let sum = sums.entry(key).or_insert_with(|| Change {
                frames: Vec::new(),
                base: 0,
                new: 0,
                ..change.clone()
            });
            sum.base += change.base;
            sum.new += change.new;
        }
        most_grown_first(sums.into_values().filter(|sum| sum.delta() != 0).collect())
    }

    /// The same as [`Diff::write_table`], for a program.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let sites: Vec<_> = self
            .by_function()
            .into_iter()
            .map(|change| {
                json!({
                    "resource": self.resource.name(),
                    "process": change.process,
                    "kind": change.kind,
                    "function": change.function,
                    "base": change.base,
                    "new": change.new,
                    "change": i64::try_from(change.delta()).unwrap_or(i64::MAX),
                })
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &json!({ "sites": sites }))?;
        writeln!(out)
    }

    /// A table of what grew and what shrank, by function.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let amount = |amount: u64| match self.resource {
            Resource::Memory => units::bytes(amount),
            Resource::Fd | Resource::Thread => units::count(amount),
        };
        let changes = self.by_function();
        let widest = |of: fn(&Change) -> &str, head: &str| {
            let widths = changes.iter().map(|change| text::width(of(change)));
            widths.max().unwrap_or(0).max(head.len())
        };
        let kind_width = widest(|change| &change.kind, "KIND");
        let process_width = widest(|change| &change.process, "PROCESS");
        writeln!(
            out,
            "{:>10} {:>9} {:>9}  {:kind_width$}  {:process_width$}  FUNCTION",
            "CHANGE", "BASE", "NEW", "KIND", "PROCESS"
        )?;
        for change in &changes {
            let sign = if change.delta() < 0 { '-' } else { '+' };
            let size = u64::try_from(change.delta().unsigned_abs()).unwrap_or(u64::MAX);
            writeln!(
                out,
                "{:>10} {:>9} {:>9}  {:kind_width$}  {:process_width$}  {}",
                format!("{sign}{}", amount(size)),
                amount(change.base),
                amount(change.new),
                change.kind,
                change.process,
                change.function,
            )?;
        }
        Ok(())
    }
}

/// What makes two stacks the same: process, kind, labels.
type Key = (String, String, Vec<String>);

fn add(stacks: &mut BTreeMap<Key, Change>, profile: &Profile, side: fn(&mut Change) -> &mut u64) {
    for sample in &profile.samples {
        // As folded stacks spell them: either side may come from there.
        let frames: Vec<String> = sample.frames.iter().map(|frame| safe(&label(frame))).collect();
        let process = safe(&sample.process);
        let kind = safe(&sample.kind);
        let key = (process.clone(), kind.clone(), frames.clone());
        let change = stacks.entry(key).or_insert_with(|| Change {
            process,
            kind,
            function: function(&frames).to_owned(),
            frames,
            base: 0,
            new: 0,
        });
        if let Some(function) = &sample.function {
            change.function = safe(function);
        }
        *side(change) += sample.live;
    }
}

/// Names that begin with two underscores are reserved to the C library and the compiler.
fn function(frames: &[String]) -> &str {
    let named = frames
        .iter()
        .find(|name| !name.starts_with("__") && !name.starts_with('['));
    named.or(frames.first()).map_or("", String::as_str)
}

fn most_grown_first(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by_key(|change| Reverse(change.delta()));
    changes
}
