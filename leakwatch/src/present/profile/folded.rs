//! Collapsed stacks, one per line: `process (pid);[kind];outermost;...;innermost VALUE`. Every flame graph tool reads them.

use std::collections::BTreeMap;

use super::{Profile, ReadError, Resource, Sample, label};
use crate::{model::snapshot::FrameRow, present::text};

/// What is still held, by stack, in alphabetical order; empty when nothing is.
pub fn write(profile: &Profile) -> String {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for sample in profile.samples.iter().filter(|sample| sample.live > 0) {
        *stacks.entry(stack(sample)).or_default() += sample.live;
    }
    let lines = stacks
        .iter()
        .map(|(stack, value)| [stack, " ", &value.to_string(), "\n"].concat());
    lines.collect()
}

fn stack(sample: &Sample) -> String {
    let mut stack = format!(
        "{} ({});[{}]",
        safe(&sample.process),
        sample.pid,
        safe(&sample.kind)
    );
    for frame in sample.frames.iter().rev() {
        stack.push(';');
        stack.push_str(&safe(&label(frame)));
    }
    stack
}

/// The name without what separates frames and lines, and without what a terminal would obey.
pub(super) fn safe(name: &str) -> String {
    text::printable(name).replace(';', ":")
}

/// Reads what [`write`] wrote. Of a frame only its label comes back.
///
/// # Errors
/// When the text is something else, or ends within a line.
pub fn read(text: &str) -> Result<Profile, ReadError> {
    let mut samples = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let sample = parse(line).map_err(|why| match number {
            1 => ReadError::Foreign(format!(
                "these are no folded stacks of leakwatch: the first line {why}"
            )),
            _ => ReadError::Damaged(format!("line {number} {why}")),
        })?;
        samples.push(sample);
    }
    if !text.ends_with('\n') {
        return Err(ReadError::Damaged("its last line has no end".to_owned()));
    }
    let mut resources = samples
        .iter()
        .filter_map(|sample| Resource::of_kind(&sample.kind));
    let resource = resources.next().ok_or(ReadError::Empty)?;
    if resources.any(|other| other != resource) {
        return Err(ReadError::Foreign("it mixes resources".to_owned()));
    }
    Ok(Profile {
        resource,
        host: String::new(),
        time_unix_ms: 0,
        observed_ns: 0,
        exe: None,
        samples,
    })
}

fn parse(line: &str) -> Result<Sample, &'static str> {
    let (stack, value) = line.rsplit_once(' ').ok_or("has no value")?;
    let live = value.parse().map_err(|_| "does not end in a whole number")?;
    let mut names = stack.split(';');
    let (process, pid) = names
        .next()
        .and_then(|root| root.strip_suffix(')')?.rsplit_once(" ("))
        .and_then(|(process, pid)| Some((process, pid.parse().ok()?)))
        .ok_or("does not begin with a process and its pid")?;
    let kind = names
        .next()
        .and_then(|kind| kind.strip_prefix('[')?.strip_suffix(']'))
        .filter(|kind| Resource::of_kind(kind).is_some())
        .ok_or("does not say below the process what kind of thing is held")?;
    let mut frames: Vec<_> = names.map(|name| FrameRow::named(name.to_owned())).collect();
    frames.reverse();
    Ok(Sample {
        pid,
        process: process.to_owned(),
        kind: kind.to_owned(),
        function: None,
        frames,
        live,
        taken: 0,
    })
}
