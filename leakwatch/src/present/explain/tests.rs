//! The page of the sample process.

use std::sync::Arc;

use super::{Explanation, Format, write};
use crate::{
    model::{
        census::Answers,
        finding::Resource,
        snapshot::{FrameRow, SITES_PER_ROW, Snapshot},
    },
    present::sample,
};

/// Two readings a minute apart, with a census each.
fn explained(first: &Snapshot) -> Explanation {
    let mut second = first.clone();
    second.uptime_ns += 60_000_000_000;
    second.time_unix_ms += 60_000;
    let process = second
        .processes
        .iter_mut()
        .find(|process| process.id.pid == 4711)
        .unwrap();
    process.rss_anon_bytes += 5 << 20;
    let census = Arc::make_mut(process.census.as_mut().unwrap());
    census.taken_ns += 45_000_000_000;
    census.views[0].rows[1].count += 441;
    census.views[0].rows[1].bytes = census.views[0].rows[1].bytes.map(|bytes| bytes + 42_336);
    let mut explanation = Explanation::begin(4711, first).unwrap();
    assert!(explanation.add(&second));
    explanation
}

/// The same, whose runtime was asked.
fn answered(first: &Snapshot) -> Explanation {
    let mut explanation = explained(first);
    let mut first = sample::census(4711);
    first.views.truncate(1);
    let mut last = first.clone();
    last.taken_ns += 30_000_000_000;
    last.views[0].rows[1].count += 300;
    let acts = "collects its whole heap, now and again at the end, and stands still meanwhile".to_owned();
    explanation.answered(Ok(Answers { acts, first, last }));
    explanation
}

fn written(explanation: &Explanation, format: Format, ascii: bool) -> String {
    let mut out = Vec::new();
    write(explanation, format, ascii, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_page_for_a_terminal() {
    insta::assert_snapshot!(
        "text",
        written(&explained(&sample::snapshot()), Format::Text, false)
    );
}

#[test]
fn what_was_answered_is_a_section_that_says_who_acted() {
    let explanation = answered(&sample::snapshot());
    let text = written(&explanation, Format::Text, false);
    let section = text.split("\n\n").find(|section| section.starts_with("Answers"));
    insta::assert_snapshot!("answers", section.unwrap());
    let page = written(&explanation, Format::Html, false);
    assert!(
        page.contains("<h2>Answers of its runtime, for which it acted</h2>"),
        "{page}"
    );
}

#[test]
fn who_did_not_answer_is_said_and_without_names_it_is_suggested_to_ask() {
    let mut snapshot = sample::snapshot();
    snapshot
        .findings
        .retain(|finding| finding.resource == Resource::Memory);
    for finding in &mut snapshot.findings {
        finding.holders.clear();
    }
    for process in &mut snapshot.processes {
        process.runtime = Some("java".into());
    }
    let mut explanation = explained(&snapshot);
    let suggested = "leakwatch explain -p 4711 --attach";
    assert!(written(&explanation, Format::Text, false).contains(suggested));
    explanation.answered(Err("it does not listen".to_owned()));
    let text = written(&explanation, Format::Text, false);
    assert!(
        text.contains("what its runtime would answer: it does not listen"),
        "{text}"
    );
    assert!(!text.contains(suggested), "{text}");
}

#[test]
fn the_page_for_programs() {
    let document = written(&answered(&sample::snapshot()), Format::Json, false);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let rest: serde_json::Map<_, _> = document
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !["process", "findings"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&rest).unwrap());
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/schema/explain.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(problems, [""; 0]);
}

#[test]
fn the_page_for_a_browser() {
    let page = written(&explained(&sample::snapshot()), Format::Html, false);
    // The flame graph has snapshots of its own.
    let page: Vec<&str> = page.lines().filter(|line| !line.contains("data:image")).collect();
    insta::assert_snapshot!("html", page.join("\n"));
}

#[test]
fn one_census_alone_is_no_comparison() {
    let explanation = Explanation::begin(4711, &sample::snapshot()).unwrap();
    let text = written(&explanation, Format::Text, false);
    assert!(
        text.contains("  what is held:\n") && !text.contains(" before:") && !text.contains("+0  "),
        "{text}"
    );
    let page = written(&explanation, Format::Html, false);
    assert!(!page.contains("<th class=\"number\">more in"), "{page}");
}

#[test]
fn as_many_sites_as_a_row_has_are_in_the_schema() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/schema/explain.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (sites, valid) in [(SITES_PER_ROW, true), (SITES_PER_ROW + 1, false)] {
        let mut explanation = explained(&sample::snapshot());
        let site = explanation.process.sites[0].clone();
        explanation.process.sites.resize(sites, site);
        let document: serde_json::Value =
            serde_json::from_str(&written(&explanation, Format::Json, false)).unwrap();
        assert_eq!(validator.is_valid(&document), valid, "{sites}");
    }
}

#[test]
fn hostile_names_are_text_in_every_format() {
    let explanation = explained(&sample::hostile());
    let text = written(&explanation, Format::Text, false);
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
    assert!(written(&explanation, Format::Text, true).is_ascii());
    let html = written(&explanation, Format::Html, false);
    assert!(!html.contains(['\x1b', '\x07', '\u{202e}']), "{html}");
    let attack = "<script>alert(1)</script>";
    let mut snapshot = sample::snapshot();
    for process in &mut snapshot.processes {
        attack.clone_into(&mut process.name);
        process.cmdline = Some(attack.into());
        if let Some(census) = &mut process.census {
            for view in &mut Arc::make_mut(census).views {
                attack.clone_into(&mut view.runtime);
                view.unknown = Some(attack.to_owned());
                for row in &mut view.rows {
                    attack.clone_into(&mut row.name);
                }
            }
        }
    }
    let html = written(&explained(&snapshot), Format::Html, false);
    assert!(!html.contains("<script>"), "{html}");
}

#[test]
fn who_is_not_there_is_not_explained_and_who_has_ended_is() {
    let snapshot = sample::snapshot();
    assert!(Explanation::begin(99_999, &snapshot).is_none());
    let mut explanation = Explanation::begin(4711, &snapshot).unwrap();
    let mut later = snapshot.clone();
    later.processes.retain(|process| process.id.pid != 4711);
    assert!(!explanation.add(&later));
    assert!(written(&explanation, Format::Text, false).contains("the process has ended"));
}

#[test]
fn runtime_and_allocator_are_named_without_their_books() {
    let mut snapshot = sample::snapshot();
    for process in &mut snapshot.processes {
        process.census = None;
        process.runtime = Some("ruby".into());
        process.runtime_version = Some("3.1.2".into());
        process.allocator = Some("jemalloc".into());
    }
    let explanation = Explanation::begin(4711, &snapshot).unwrap();
    let text = written(&explanation, Format::Text, false);
    assert!(text.contains("ruby 3.1.2, jemalloc"), "{text}");
}

#[test]
fn what_an_answer_leaves_out_is_said() {
    let mut explanation = explained(&sample::snapshot());
    let first = explanation.last_census.clone().unwrap();
    let mut last = (*first).clone();
    last.views[0].unknown = Some("counts are too low".to_owned());
    explanation.answered(Ok(Answers {
        acts: "stands still".to_owned(),
        first: last.clone(),
        last,
    }));
    let text = written(&explanation, Format::Text, false);
    let answered = text.lines().filter(|line| line.contains("counts are too low"));
    assert!(answered.clone().all(|line| line.contains("asked by --attach")) && answered.count() == 1);
}

#[test]
fn a_quiet_process_is_told_what_to_do_too() {
    let explanation = Explanation::begin(813, &sample::snapshot()).unwrap();
    let text = written(&explanation, Format::Text, false);
    assert!(text.contains("leakwatch check -p 813 --duration 10m"), "{text}");
    assert!(text.contains("the books of its runtime"), "{text}");
}

#[test]
fn a_stack_is_shown_from_the_function_to_look_at_on() {
    let mut explanation = explained(&sample::snapshot());
    explanation.process.sites.truncate(1);
    let site = &mut explanation.process.sites[0];
    let frame = |name: &str| FrameRow::named(name.to_owned());
    site.function = Some("handle_upload".to_owned());
    site.frames = vec![frame("v8::internal::Heap"); 9];
    site.frames.push(frame("handle_upload"));
    site.frames.extend(vec![frame("node::SpinEventLoop"); 7]);
    let text = written(&explanation, Format::Text, true);
    let (_, stack) = text.split_once("    (9 inside)\n").unwrap();
    assert!(stack.trim_start().starts_with("handle_upload"), "{text}");
    assert!(
        stack.contains("    (2 outside)\n") && !stack.contains("v8"),
        "{text}"
    );
}
