use std::io::Read as _;

use flate2::read::GzDecoder;
use prost::Message as _;

use super::{
    LIVE, MARK, key,
    message::{Label, Line, Location, Profile, Sample},
};
use crate::model::snapshot::FrameRow;
use crate::present::profile::{self, ReadError, Resource};

/// Bytes that a profile may unpack to; ours have 128 sites a process.
const MAX_UNPACKED: u64 = 64 << 20;

/// Reads what [`super::write`] wrote. The executable, and why a frame has no name, do not come back.
///
/// # Errors
/// When the bytes are something else, or not all there.
pub fn read(bytes: &[u8]) -> Result<profile::Profile, ReadError> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| ReadError::Damaged(format!("gzip: {error}")))?;
    if unpacked.len() as u64 > MAX_UNPACKED {
        return Err(foreign(format!(
            "it unpacks to more than {} MiB",
            MAX_UNPACKED >> 20
        )));
    }
    read_message(&unpacked)
}

pub(super) fn read_message(bytes: &[u8]) -> Result<profile::Profile, ReadError> {
    let message =
        Profile::decode(bytes).map_err(|_| foreign("what gzip compressed there is no pprof profile"))?;
    Reader { message: &message }.profile()
}

fn foreign(what: impl Into<String>) -> ReadError {
    ReadError::Foreign(what.into())
}

fn damaged(what: &str) -> ReadError {
    ReadError::Damaged(what.to_owned())
}

struct Reader<'a> {
    message: &'a Profile,
}

impl Reader<'_> {
    fn profile(&self) -> Result<profile::Profile, ReadError> {
        let message = self.message;
        let resource = self.resource()?;
        let names: Result<Vec<&str>, ReadError> = message
            .sample_type
            .iter()
            .map(|kind| self.string(kind.r#type))
            .collect();
        if names? != [LIVE, resource.taken()] {
            return Err(foreign("its values are not those that leakwatch writes"));
        }
        let samples: Result<Vec<_>, ReadError> =
            message.sample.iter().map(|sample| self.sample(sample)).collect();
        let by = message
            .comment
            .get(1)
            .map_or(Ok(""), |&index| self.string(index))?;
        Ok(profile::Profile {
            resource,
            host: by.split_once(" on ").map_or("", |(_, host)| host).to_owned(),
            time_unix_ms: u64::try_from(message.time_nanos / 1_000_000).unwrap_or(0),
            observed_ns: u64::try_from(message.duration_nanos).unwrap_or(0),
            exe: None,
            samples: samples?,
        })
    }

    fn resource(&self) -> Result<Resource, ReadError> {
        let mark = self
            .message
            .comment
            .first()
            .map_or(Ok(""), |&index| self.string(index))?;
        mark.strip_prefix(MARK)
            .and_then(|rest| Resource::named(rest.trim_start().split(':').next()?))
            .ok_or_else(|| foreign("it is a pprof profile, but not one that leakwatch wrote"))
    }

    fn string(&self, index: i64) -> Result<&str, ReadError> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.message.string_table.get(index))
            .map(String::as_str)
            .ok_or_else(|| damaged("a string is missing"))
    }

    fn sample(&self, sample: &Sample) -> Result<profile::Sample, ReadError> {
        let &[live, taken] = &sample.value[..] else {
            return Err(damaged("a sample has not two values"));
        };
        let value = |value: i64| u64::try_from(value).map_err(|_| damaged("a value is below zero"));
        let mut frames = Vec::new();
        for &id in &sample.location_id {
            let location = by_id(&self.message.location, id, "location")?;
            self.frames(location, &mut frames)?;
        }
        let pid = self.label(sample, key::PID)?.map_or(0, |label| label.num);
        let text = |key| match self.label(sample, key)? {
            Some(label) => self.string(label.str).map(Some),
            None => Ok(None),
        };
        Ok(profile::Sample {
            pid: u32::try_from(pid).map_err(|_| damaged("a pid is out of range"))?,
            process: text(key::PROCESS)?.unwrap_or_default().to_owned(),
            kind: text(key::KIND)?.unwrap_or_default().to_owned(),
            function: text(key::FUNCTION)?.map(str::to_owned),
            frames,
            live: value(live)?,
            taken: value(taken)?,
        })
    }

    fn label<'s>(&self, sample: &'s Sample, key: &str) -> Result<Option<&'s Label>, ReadError> {
        for label in &sample.label {
            if self.string(label.key)? == key {
                return Ok(Some(label));
            }
        }
        Ok(None)
    }

    fn frames(&self, location: &Location, frames: &mut Vec<FrameRow>) -> Result<(), ReadError> {
        let (module, build_id) = match location.mapping_id {
            0 => ("", ""),
            id => {
                let mapping = by_id(&self.message.mapping, id, "mapping")?;
                (self.string(mapping.filename)?, self.string(mapping.build_id)?)
            }
        };
        for (number, line) in (1..).zip(&location.line) {
            let function = by_id(&self.message.function, line.function_id, "function")?;
            let name = self.string(function.name)?;
            frames.push(FrameRow {
                function: (function.system_name != 0).then(|| name.to_owned()),
                file: some(self.string(function.filename)?),
                line: number_of(line),
                module: module.to_owned(),
                build_id: some(build_id),
                address: location.address,
                inlined: number < location.line.len(),
                reason: None,
            });
        }
        Ok(())
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn number_of(line: &Line) -> Option<u32> {
    u32::try_from(line.line).ok().filter(|&number| number > 0)
}

/// Ids count from 1 in the order of the table, as leakwatch writes them.
fn by_id<'a, T>(table: &'a [T], id: u64, what: &str) -> Result<&'a T, ReadError> {
    usize::try_from(id)
        .ok()
        .and_then(|id| table.get(id.checked_sub(1)?))
        .ok_or_else(|| ReadError::Damaged(format!("a {what} is missing")))
}
