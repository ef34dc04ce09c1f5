use std::{collections::HashMap, io::Write as _};

use flate2::{Compression, GzBuilder};
use prost::Message as _;

use super::{
    LIVE, MARK, key,
    message::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType},
};
use crate::model::snapshot::FrameRow;
use crate::present::{
    profile::{self, Resource},
    text,
};

/// The same bytes for the same profile.
pub fn write(profile: &profile::Profile) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.string("");
    let resource = profile.resource;
    let unit = resource.unit();
    writer.profile.sample_type = [LIVE, resource.taken()]
        .map(|name| ValueType {
            r#type: writer.string(name),
            unit: writer.string(unit),
        })
        .into();
    writer.profile.default_sample_type = writer.string(LIVE);
    writer.profile.comment = comments(profile).map(|comment| writer.string(&comment)).collect();
    writer.profile.time_nanos = signed(profile.time_unix_ms.saturating_mul(1_000_000));
    writer.profile.duration_nanos = signed(profile.observed_ns);
    // Tools call the profile after the first mapping.
    let mut frames = profile.samples.iter().flat_map(|sample| &sample.frames);
    if let Some(frame) = frames.find(|frame| Some(&frame.module) == profile.exe.as_ref()) {
        writer.mapping(frame, &[]);
    }
    for sample in &profile.samples {
        writer.sample(sample);
    }
    compress(&writer.profile.encode_to_vec())
}

fn comments(profile: &profile::Profile) -> impl Iterator<Item = String> {
    let resource = profile.resource;
    let mark = format!("{MARK} {}: {}", resource.name(), resource.title());
    let by = format!("leakwatch {} on {}", env!("CARGO_PKG_VERSION"), profile.host);
    let twice =
        "mapping and first_touch see the same memory: look at one at a time, with -tagfocus=kind=mapping";
    [mark, by]
        .into_iter()
        .chain((resource == Resource::Memory).then(|| twice.to_owned()))
}

/// Without a time, so that the same profile is the same file.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("a vector takes writes")
}

#[derive(Default)]
struct Writer {
    profile: Profile,
    strings: HashMap<String, i64>,
    /// By path and build id.
    mappings: HashMap<(String, Option<String>), u64>,
    /// By name, whether that is a function's, and file.
    functions: HashMap<(String, bool, String), u64>,
    /// By themselves, without an id.
    locations: HashMap<Location, u64>,
}

impl Writer {
    fn string(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.strings.get(text) {
            return index;
        }
        let index = signed(self.profile.string_table.len() as u64);
        self.profile.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    /// A name that somebody else chose: `go tool pprof` writes it to a terminal.
    fn name(&mut self, text: &str) -> i64 {
        self.string(&text::printable(text))
    }

    fn sample(&mut self, sample: &profile::Sample) {
        let mut location_id = Vec::new();
        let mut rest = &sample.frames[..];
        while !rest.is_empty() {
            // A caller that was not kept ends the run as well.
            let whole = rest
                .iter()
                .position(|frame| !frame.inlined)
                .map_or(rest.len(), |at| at + 1);
            let (frames, outer) = rest.split_at(whole);
            location_id.push(self.location(frames));
            rest = outer;
        }
        let mut label = vec![Label {
            key: self.string(key::PID),
            num: sample.pid.into(),
            ..Label::default()
        }];
        let texts = [
            (key::PROCESS, Some(&sample.process)),
            (key::KIND, Some(&sample.kind)),
            (key::FUNCTION, sample.function.as_ref()),
        ];
        for (key, text) in texts {
            label.extend(text.map(|text| Label {
                key: self.string(key),
                str: self.name(text),
                ..Label::default()
            }));
        }
        self.profile.sample.push(Sample {
            location_id,
            value: vec![signed(sample.live), signed(sample.taken)],
            label,
        });
    }

    /// The place of a function and of those that were inlined there, innermost first.
    fn location(&mut self, frames: &[FrameRow]) -> u64 {
        let Some(place) = frames.last() else { return 0 };
        let location = Location {
            id: 0,
            mapping_id: self.mapping(place, frames),
            address: place.address,
            line: frames.iter().map(|frame| self.line(frame)).collect(),
        };
        let id = self.profile.location.len() as u64 + 1;
        if let Some(&known) = self.locations.get(&location) {
            return known;
        }
        self.locations.insert(location.clone(), id);
        self.profile.location.push(Location { id, ..location });
        id
    }

    /// 0 for what lies in no binary.
    fn mapping(&mut self, place: &FrameRow, frames: &[FrameRow]) -> u64 {
        if place.module.is_empty() {
            return 0;
        }
        let key = (place.module.clone(), place.build_id.clone());
        let next = self.profile.mapping.len() as u64 + 1;
        let id = self.mappings.get(&key).copied().unwrap_or(next);
        if id == next {
            let mapping = Mapping {
                id,
                filename: self.name(&place.module),
                build_id: self.name(place.build_id.as_deref().unwrap_or_default()),
                // Without this, pprof looks for the binaries on the machine that it runs on.
                has_functions: true,
                ..Mapping::default()
            };
            self.profile.mapping.push(mapping);
            self.mappings.insert(key, id);
        }
        let index = usize::try_from(id - 1).unwrap_or(usize::MAX);
        if let Some(mapping) = self.profile.mapping.get_mut(index) {
            mapping.has_filenames |= frames.iter().any(|frame| frame.file.is_some());
            mapping.has_line_numbers |= frames.iter().any(|frame| frame.line.is_some());
            mapping.has_inline_frames |= frames.len() > 1;
        }
        id
    }

    fn line(&mut self, frame: &FrameRow) -> Line {
        let named = frame
            .function
            .as_ref()
            .is_some_and(|function| !function.is_empty());
        let key = (
            profile::label(frame),
            named,
            frame.file.clone().unwrap_or_default(),
        );
        let next = self.profile.function.len() as u64 + 1;
        let id = self.functions.get(&key).copied().unwrap_or(next);
        if id == next {
            let name = self.name(&key.0);
            let function = Function {
                id,
                name,
                system_name: if named { name } else { 0 },
                filename: self.name(&key.2),
            };
            self.profile.function.push(function);
            self.functions.insert(key, id);
        }
        Line {
            function_id: id,
            line: frame.line.unwrap_or(0).into(),
        }
    }
}

/// The format has no unsigned values; what does not fit is as large as can be said.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
