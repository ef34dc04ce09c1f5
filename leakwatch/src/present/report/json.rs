//! The JSON contract (`docs/schema/snapshot.json`): the snapshot itself, with the chosen processes in the chosen order.

use std::io;

use crate::model::snapshot::Snapshot;
use crate::present::rows::{self, Row};

pub(super) fn write_indented(snapshot: &Snapshot, rows: &[Row], out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &chosen(snapshot, rows))?;
    writeln!(out)
}

pub(super) fn write_line(snapshot: &Snapshot, rows: &[Row], out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &chosen(snapshot, rows))?;
    writeln!(out)
}

fn chosen(snapshot: &Snapshot, rows: &[Row]) -> Snapshot {
    Snapshot {
        schema_version: snapshot.schema_version,
        tool_version: snapshot.tool_version.clone(),
        host: snapshot.host.clone(),
        time_unix_ms: snapshot.time_unix_ms,
        uptime_ns: snapshot.uptime_ns,
        health: snapshot.health.clone(),
        processes: rows
            .iter()
            .map(|row| snapshot.processes[row.index].clone())
            .collect(),
        findings: rows::findings(snapshot, rows).cloned().collect(),
        host_limits: snapshot.host_limits.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{
        health::ProbeState,
        snapshot::{SITES_PER_ROW, Snapshot},
    };
    use crate::present::sample;
    use jsonschema::Validator;
    use serde_json::Value;

    fn schema() -> Value {
        serde_json::from_str(include_str!("../../../../docs/schema/snapshot.json"))
            .expect("the schema is JSON")
    }

    fn problems(document: &Value) -> Vec<String> {
        let validator: Validator = jsonschema::validator_for(&schema()).expect("the schema is a schema");
        let problem = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(document).map(problem).collect()
    }

    fn document(snapshot: &Snapshot) -> Value {
        serde_json::to_value(snapshot).expect("a snapshot serialises")
    }

    #[test]
    fn snapshots_conform_to_the_published_schema() {
        for snapshot in [sample::snapshot(), sample::degraded(), sample::hostile()] {
            assert_eq!(problems(&document(&snapshot)), [""; 0]);
        }
    }

    #[test]
    fn as_many_sites_as_a_row_has_are_in_the_schema() {
        let mut snapshot = sample::snapshot();
        let sites = &mut snapshot.processes.iter_mut().find(|of| !of.sites.is_empty());
        let sites = &mut sites.as_mut().expect("somebody has sites").sites;
        let site = sites[0].clone();
        sites.resize(SITES_PER_ROW, site.clone());
        let most = document(&snapshot);
        for process in &mut snapshot.processes {
            process.sites.resize(SITES_PER_ROW + 1, site.clone());
        }
        assert_eq!(problems(&most), [""; 0]);
        assert!(!problems(&document(&snapshot)).is_empty());
    }

    #[test]
    fn every_state_of_a_probe_is_in_the_schema() {
        let mut snapshot = sample::snapshot();
        for state in [ProbeState::Attached, ProbeState::Fallback, ProbeState::Failed] {
            snapshot.health.probes[0].state = state;
            assert_eq!(problems(&document(&snapshot)), [""; 0]);
        }
    }

    #[test]
    fn a_number_that_is_none_is_null() {
        let mut snapshot = sample::snapshot();
        snapshot.processes[0].growth.memory_bytes_per_second = Some(f64::NAN);
        snapshot.processes[0].growth.fds_per_second = Some(f64::INFINITY);
        let document = document(&snapshot);
        assert!(document["processes"][0]["growth"]["memory_bytes_per_second"].is_null());
        assert!(document["processes"][0]["growth"]["fds_per_second"].is_null());
        assert_eq!(problems(&document), [""; 0]);
    }

    #[test]
    fn the_schema_names_every_field_and_allows_no_other() {
        let whole = document(&sample::snapshot());
        for path in objects(&whole, "") {
            let mut extra = whole.clone();
            extra.pointer_mut(&path).expect("the path was found in it")["surprise"] = Value::Null;
            // Kinds of descriptors are an open set: there a count is wanted, not a known name.
            assert!(
                !problems(&extra).is_empty(),
                "{path} takes a field that the schema does not name"
            );
            if path.ends_with("/fd_kinds") {
                continue;
            }
            for name in whole
                .pointer(&path)
                .and_then(Value::as_object)
                .expect("an object")
                .keys()
            {
                let mut less = whole.clone();
                let object = less
                    .pointer_mut(&path)
                    .and_then(Value::as_object_mut)
                    .expect("an object");
                object.remove(name);
                assert!(!problems(&less).is_empty(), "{path} does without {name}");
            }
        }
    }

    /// JSON pointers of every object in the document.
    fn objects(value: &Value, path: &str) -> Vec<String> {
        let below = |(name, value): (String, &Value)| objects(value, &format!("{path}/{name}"));
        match value {
            Value::Object(fields) => std::iter::once(path.to_owned())
                .chain(
                    fields
                        .iter()
                        .map(|(name, value)| (name.clone(), value))
                        .flat_map(below),
                )
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, value)| (at.to_string(), value))
                .flat_map(below)
                .collect(),
            _ => Vec::new(),
        }
    }
}
