//! A JUnit test suite: one case per target and resource, so that a CI system shows a leak as the test that failed.
//!
//! Cases are named by program and not by pid: that is what a CI system follows from run to run.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Document, Target,
    sentence::{sentence, things},
    text,
};
use crate::{
    model::finding::{Finding, Resource, Subject, Verdict},
    present::{markup::Escaped, summary, text::printable},
};

/// One test case.
struct Case {
    class: String,
    name: String,
    seconds: f64,
    result: Outcome,
    /// What else there is to say about it, whatever came of it: names in it are not cleaned.
    remarks: Vec<String>,
}

enum Outcome {
    Passed,
    Failed { message: String, details: String },
    Skipped(String),
    Error(String),
}

pub(super) fn write(document: &Document, threshold: Verdict, out: &mut dyn Write) -> io::Result<()> {
    let cases = cases(document, threshold);
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.result)).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
        cases.len(),
        count(|result| matches!(result, Outcome::Failed { .. })),
        count(|result| matches!(result, Outcome::Error(_))),
        count(|result| matches!(result, Outcome::Skipped(_))),
        document.observed_seconds
    );
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"leakwatch\" {counts}>")?;
    writeln!(
        out,
        "  <testsuite name=\"leakwatch\" {counts} timestamp=\"{}\" hostname=\"{}\">",
        summary::time(document.time_unix_ms).trim_end_matches('Z'),
        Escaped(&document.host)
    )?;
    for case in &cases {
        write_case(case, out)?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn write_case(case: &Case, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        Attribute(&case.class),
        Attribute(&case.name),
        case.seconds
    )?;
    if matches!(case.result, Outcome::Passed) && case.remarks.is_empty() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    match &case.result {
        Outcome::Passed => {}
        Outcome::Failed { message, details } => writeln!(
            out,
            "      <failure type=\"leak\" message=\"{}\">{}</failure>",
            Attribute(message),
            Escaped(details)
        )?,
        Outcome::Skipped(why) => writeln!(out, "      <skipped message=\"{}\"/>", Attribute(why))?,
        Outcome::Error(why) => writeln!(
            out,
            "      <error type=\"unobserved\" message=\"{}\"/>",
            Attribute(why)
        )?,
    }
    if !case.remarks.is_empty() {
        let remarks = block(&case.remarks);
        writeln!(out, "      <system-out>{}</system-out>", Escaped(&remarks))?;
    }
    writeln!(out, "    </testcase>")
}

/// Text in an attribute, where a line break would become a blank.
struct Attribute<'a>(&'a str);

impl std::fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Escaped(&printable(self.0)))
    }
}

fn cases(document: &Document, threshold: Verdict) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut namesakes: BTreeMap<&str, u32> = BTreeMap::new();
    for target in &document.targets {
        let namesake = namesakes.entry(&target.process).or_default();
        *namesake += 1;
        let class = match namesake {
            1 => target.process.clone(),
            number => format!("{}#{number}", target.process),
        };
        for resource in Resource::ALL {
            cases.push(of_target(document, threshold, target, &class, resource));
        }
    }
    let of_groups = document
        .findings
        .iter()
        .filter(|finding| target_of(document, finding).is_none());
    cases.extend(of_groups.map(|finding| {
        let (result, remarks) = judged(&[finding], threshold);
        Case {
            class: match &finding.subject {
                Subject::Process => finding.process.clone(),
                Subject::Container(name) | Subject::Unit(name) => name.to_string(),
            },
            name: name(finding.resource),
            seconds: document.observed_seconds,
            result,
            remarks,
        }
    }));
    cases.extend(
        document
            .limits
            .iter()
            .filter(|_| document.is_instant())
            .map(|near| {
                let full = format!("{:.0} % of {} is used", near.used_percent(), near.limit.name);
                Case {
                    class: near.process.clone().unwrap_or_else(|| document.host.clone()),
                    name: format!("is not near {}", near.limit.name),
                    seconds: 0.0,
                    result: if near.is_critical() {
                        Outcome::Failed {
                            message: full,
                            details: String::new(),
                        }
                    } else {
                        Outcome::Passed
                    },
                    remarks: Vec::new(),
                }
            }),
    );
    let (result, remarks) = if document.complete {
        (Outcome::Passed, document.problems.clone())
    } else {
        (Outcome::Error(document.problems.join("; ")), Vec::new())
    };
    cases.push(Case {
        class: "leakwatch".to_owned(),
        name: "observes".to_owned(),
        seconds: document.observed_seconds,
        result,
        remarks,
    });
    cases
}

fn of_target(
    document: &Document,
    threshold: Verdict,
    target: &Target,
    class: &str,
    resource: Resource,
) -> Case {
    let of = |finding: &&Finding| finding.resource == resource && is_about(finding, target);
    let findings: Vec<_> = document.findings.iter().filter(of).collect();
    let (result, remarks) = match judged(&findings, threshold) {
        (Outcome::Passed, remarks) if !target.judged => {
            let why = "observed too briefly to say anything".to_owned();
            (Outcome::Skipped(why), remarks)
        }
        said => said,
    };
    Case {
        class: class.to_owned(),
        name: name(resource),
        seconds: target.observed_seconds,
        result,
        remarks,
    }
}

/// What comes of the findings of one case, worst first, and what the rest of them say.
fn judged(findings: &[&Finding], threshold: Verdict) -> (Outcome, Vec<String>) {
    let (result, rest) = match findings {
        [worst, rest @ ..] if worst.verdict >= threshold => {
            let result = Outcome::Failed {
                message: sentence(worst),
                details: block(&text::details(worst)),
            };
            (result, rest)
        }
        all => (Outcome::Passed, all),
    };
    let mut remarks = Vec::new();
    for finding in rest {
        remarks.push(format!("{}: {}", finding.verdict.name(), sentence(finding)));
        remarks.extend(text::details(finding));
    }
    (result, remarks)
}

/// Lines, each of which stays one whatever is in it.
fn block(lines: &[String]) -> String {
    let line = |line: &String| format!("{}\n", printable(line));
    format!("\n{}", lines.iter().map(line).collect::<String>())
}

fn name(resource: Resource) -> String {
    format!("does not leak {}", things(resource))
}

fn is_about(finding: &Finding, target: &Target) -> bool {
    finding.subject == Subject::Process
        && (finding.pid, finding.start_time_ns) == (target.pid, target.start_time_ns)
}

fn target_of<'a>(document: &'a Document, finding: &Finding) -> Option<&'a Target> {
    document.targets.iter().find(|target| is_about(finding, target))
}

#[cfg(test)]
mod tests {
    use super::{Document, Verdict, write};
    use crate::present::findings::sample;

    fn junit(document: &Document) -> String {
        let mut out = Vec::new();
        write(document, Verdict::Leaking, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("XML is UTF-8 here")
    }

    fn count(document: &Document, element: &str) -> usize {
        let text = junit(document);
        let tree = roxmltree::Document::parse(&text).expect("it is XML");
        let elements = tree.descendants().filter(|node| node.has_tag_name(element));
        elements.count()
    }

    #[test]
    fn a_leak_is_a_test_that_failed() {
        insta::assert_snapshot!("junit", junit(&sample::document()));
    }

    /// What is written beside the cases of this name.
    fn remarks(document: &Document, class: &str, name: &str) -> String {
        let text = junit(document);
        let tree = roxmltree::Document::parse(&text).expect("it is XML");
        let is_case = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("classname") == Some(class) && node.attribute("name") == Some(name)
        };
        let cases = tree.descendants().filter(is_case);
        let said = cases.flat_map(|case| case.descendants().filter(|node| node.has_tag_name("system-out")));
        said.filter_map(|node| node.text()).collect()
    }

    #[test]
    fn what_does_not_fail_is_said_all_the_same() {
        let mut document = sample::document();
        document.findings[0].verdict = Verdict::Growing;
        assert_eq!(count(&document, "failure"), 0);
        let said = remarks(&document, "payments", "does not leak file descriptors");
        assert!(
            said.contains("growing: payments (java 17.0")
                && said.contains("HttpPool::connect src/pool.cc:88"),
            "{said}"
        );
        document.findings[0].verdict = Verdict::Leaking;
        let mut second = document.findings[0].clone();
        second.kind = "file".to_owned();
        second.verdict = Verdict::Suspected;
        document.findings.insert(1, second);
        assert_eq!(count(&document, "failure"), 1);
        let said = remarks(&document, "payments", "does not leak file descriptors");
        assert!(
            said.contains("suspected: payments") && !said.contains("leaking:"),
            "{said}"
        );
        document.problems = vec!["probe x is not attached".to_owned()];
        assert!(remarks(&document, "leakwatch", "observes").contains("probe x"));
    }

    #[test]
    fn who_was_not_judged_passes_nothing() {
        let mut document = sample::document();
        document.findings[0].verdict = Verdict::Growing;
        document.targets[1].judged = false;
        assert_eq!(count(&document, "skipped"), 4);
        assert!(remarks(&document, "payments", "does not leak file descriptors").contains("growing: "));
    }

    #[test]
    fn what_could_not_be_observed_is_an_error_and_not_a_pass() {
        let document = sample::incomplete();
        assert_eq!(count(&document, "error"), 1);
        assert_eq!(
            count(&document, "skipped"),
            4,
            "the four resources of one process"
        );
        assert_eq!(count(&document, "failure"), 0);
    }

    #[test]
    fn hostile_names_stay_in_their_attributes() {
        let hostile = sample::hostile();
        assert_eq!(
            count(&hostile, "failure"),
            1,
            "its subject is now a unit, which has a case of its own"
        );
        assert_eq!(count(&hostile, "a"), 0);
        assert!(!junit(&hostile).contains(['\x1b', '\x07', '\u{202e}']));
    }

    #[test]
    fn the_counts_are_those_of_the_cases() {
        let document = sample::document();
        let text = junit(&document);
        let tree = roxmltree::Document::parse(&text).expect("it is XML");
        let suite = tree
            .descendants()
            .find(|node| node.has_tag_name("testsuite"))
            .expect("a suite");
        for (attribute, element) in [
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ] {
            let said = suite.attribute(attribute).and_then(|count| count.parse().ok());
            assert_eq!(said, Some(count(&document, element)), "{attribute}");
        }
    }

    #[test]
    fn namesakes_are_told_apart() {
        let mut document = sample::document();
        let mut twin = document.targets[0].clone();
        twin.pid += 1;
        document.targets.insert(1, twin);
        let text = junit(&document);
        assert!(text.contains("classname=\"worker\"") && text.contains("classname=\"worker#2\""));
    }
}
