//! An examination, for people and for programs.

use std::io;

use super::{Check, Examination, ProbeCheck, Status, Verdict};
use crate::present::text;

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether nothing outside ASCII may be used.
    pub ascii: bool,
}

/// Writes the JSON document of docs/schema/doctor.json.
pub fn json(examination: &Examination, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, examination)?;
    writeln!(out)
}

/// Writes a table: one line a check, and what to do under those that did not pass.
pub fn table(examination: &Examination, style: Style, out: &mut dyn io::Write) -> io::Result<()> {
    let Examination {
        tool_version,
        kernel,
        arch,
        checks,
        probes,
        ..
    } = examination;
    let mut table = Table {
        style,
        fixes: Vec::new(),
        out,
    };
    table.line(&format!("leakwatch {tool_version} on Linux {kernel}, {arch}"))?;
    table.line("")?;
    let width = widest(checks.iter().map(|check| check.name));
    for check in checks {
        table.entry(&Entry::from(check), width)?;
    }
    table.line("")?;
    let width = widest(probes.iter().map(|probe| probe.name));
    for probe in probes {
        table.entry(&Entry::from(probe), width)?;
    }
    table.line("")?;
    table.verdict(examination.verdict)
}

/// A line and what hangs below it.
struct Entry<'a> {
    name: &'a str,
    status: Status,
    found: String,
    lost: Option<&'a str>,
    fix: Option<&'a str>,
}

impl<'a> From<&'a Check> for Entry<'a> {
    fn from(check: &'a Check) -> Self {
        Self {
            name: check.name,
            status: check.status,
            found: check.found.clone(),
            lost: check.lost.as_deref(),
            fix: check.fix.as_deref(),
        }
    }
}

impl<'a> From<&'a ProbeCheck> for Entry<'a> {
    fn from(probe: &'a ProbeCheck) -> Self {
        let need = if probe.required { ", required" } else { "" };
        Self {
            name: probe.name,
            status: probe.status,
            found: format!(
                "{} (Linux {}{need}): {}",
                probe.hook, probe.min_kernel, probe.found
            ),
            lost: probe.lost.as_deref(),
            fix: probe.fix.as_deref(),
        }
    }
}

struct Table<'a> {
    style: Style,
    /// Those already said; a cause has many effects, and one fix.
    fixes: Vec<String>,
    out: &'a mut dyn io::Write,
}

impl Table<'_> {
    fn entry(&mut self, entry: &Entry<'_>, width: usize) -> io::Result<()> {
        let (glyph, word, color) = match entry.status {
            Status::Pass => (self.pick("✔", "+"), "PASS", GREEN),
            Status::Warn => ("!", "WARN", YELLOW),
            Status::Fail => (self.pick("✖", "x"), "FAIL", RED),
        };
        let mark = self.colored(color, &format!("{glyph} {word}"));
        let (name, found) = (entry.name, self.safe(&entry.found));
        writeln!(self.out, "{mark}  {name:width$}  {found}")?;
        if let Some(lost) = entry.lost {
            self.line(&format!("{:width$}  not seen: {lost}", "", width = width + 8))?;
        }
        if let Some(fix) = entry.fix
            && !self.fixes.iter().any(|said| said == fix)
        {
            self.line(&format!("{:width$}  fix: {fix}", "", width = width + 8))?;
            self.fixes.push(fix.to_owned());
        }
        Ok(())
    }

    fn verdict(&mut self, verdict: Verdict) -> io::Result<()> {
        let (color, word, meaning) = match verdict {
            Verdict::Ok => (GREEN, "ok", "everything that leakwatch can show is shown"),
            Verdict::Degraded => (
                YELLOW,
                "degraded",
                "leakwatch runs; what the warnings name is missing or costs more",
            ),
            Verdict::CannotRun => (RED, "cannot run", "the failures say why"),
        };
        let word = self.colored(color, word);
        writeln!(self.out, "{word}: {meaning}")
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let line = self.safe(line);
        writeln!(self.out, "{line}")
    }

    /// Labels and kernel answers come from outside.
    fn safe(&self, text: &str) -> String {
        let text = text::printable(text);
        if self.style.ascii {
            text::ascii(&text).into_owned()
        } else {
            text.into_owned()
        }
    }

    fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.style.ascii { ascii } else { unicode }
    }

    fn colored(&self, color: &str, text: &str) -> String {
        if self.style.color {
            format!("{color}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[1;33m";
const RED: &str = "\x1b[1;31m";
const RESET: &str = "\x1b[0m";

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use serde_json::Value;

    use super::{Examination, Style, Verdict, json, table};
    use crate::{
        doctor::{
            facts::{Facts, recorded},
            outcome::{Outcome, recorded as outcomes},
        },
        model::health::ProbeState,
    };

    const PLAIN: Style = Style {
        color: false,
        ascii: false,
    };

    /// A host where all is well, one where something is missing, one where nothing works.
    fn examinations() -> [(Verdict, Examination); 3] {
        let fallback = outcomes::except(
            "vmas",
            ProbeState::Fallback,
            "no BTF type `bpf_iter_task_vma`; using /proc/PID/maps",
        );
        let old = Facts {
            release: "5.10.0-46-cloud-amd64".to_owned(),
            ..recorded::root()
        };
        let new = |facts: &Facts, outcome: &Outcome| Examination::new(facts, outcome);
        [
            (Verdict::Ok, new(&recorded::root(), &outcomes::attached())),
            (Verdict::Degraded, new(&old, &fallback)),
            (
                Verdict::CannotRun,
                new(&recorded::container(), &outcomes::denied()),
            ),
        ]
    }

    fn written(examination: &Examination, style: Style) -> String {
        let mut out = Vec::new();
        table(examination, style, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("a report is UTF-8")
    }

    #[test]
    fn tables() {
        for (verdict, examination) in examinations() {
            assert_eq!(examination.verdict(), verdict);
            let text = written(&examination, PLAIN).replace(env!("CARGO_PKG_VERSION"), "VERSION");
            insta::assert_snapshot!(format!("{verdict:?}"), text);
        }
    }

    #[test]
    fn colour_and_signs_are_left_out_when_told() {
        let [_, (_, degraded), _] = examinations();
        let colorful = written(&degraded, Style { color: true, ..PLAIN });
        assert!(colorful.contains("\x1b[1;33m! WARN\x1b[0m"), "{colorful}");
        assert!(!written(&degraded, PLAIN).contains('\x1b'));
        assert!(written(&degraded, Style { ascii: true, ..PLAIN }).is_ascii());
    }

    #[test]
    fn a_hostile_label_reaches_no_terminal() {
        let facts = Facts {
            lsm_label: Some("\x1b[2Jevil\n (enforce)".to_owned()),
            ..recorded::root()
        };
        let text = written(&Examination::new(&facts, &outcomes::denied()), PLAIN);
        assert!(text.contains("evil"));
        assert!(
            !text.contains(['\x1b', '\r']) && !text.contains("evil\n"),
            "{text}"
        );
    }

    #[test]
    fn documents_conform_to_the_published_schema() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../docs/schema/doctor.json")).expect("JSON");
        let validator: Validator = jsonschema::validator_for(&schema).expect("a schema");
        for (_, examination) in examinations() {
            let mut out = Vec::new();
            json(&examination, &mut out).expect("memory takes writes");
            let document: Value = serde_json::from_slice(&out).expect("JSON");
            let problems: Vec<_> = validator
                .iter_errors(&document)
                .map(|error| error.to_string())
                .collect();
            assert_eq!(problems, [""; 0]);
            assert_strict(&validator, &document);
        }
    }

    /// The schema names every field and allows no other.
    fn assert_strict(validator: &Validator, document: &Value) {
        for path in ["", "/checks/0", "/probes/0"] {
            let fields = document
                .pointer(path)
                .and_then(Value::as_object)
                .expect("an object");
            for name in fields.keys() {
                let mut less = document.clone();
                let object = less
                    .pointer_mut(path)
                    .and_then(Value::as_object_mut)
                    .expect("an object");
                object.remove(name);
                assert!(!validator.is_valid(&less), "{path} does without {name}");
            }
            let mut more = document.clone();
            more.pointer_mut(path).expect("an object")["surprise"] = Value::Null;
            assert!(
                !validator.is_valid(&more),
                "{path} takes a field that the schema does not name"
            );
        }
    }
}
