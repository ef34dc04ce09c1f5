//! Every format of one recording, and of one that means harm.

use std::collections::BTreeSet;

use roxmltree::{Document, ParsingOptions};

use super::{CsvWriter, html, json, markdown, text};
use crate::present::{recording::Recording, sample};

type Writer = fn(&Recording, &mut dyn std::io::Write) -> std::io::Result<()>;

fn recording() -> Recording {
    let mut recording = Recording::default();
    for snapshot in sample::recording() {
        recording.add(snapshot);
    }
    recording
}

fn hostile() -> Recording {
    let mut recording = Recording::default();
    for (number, mut snapshot) in [sample::hostile(), sample::hostile()].into_iter().enumerate() {
        snapshot.uptime_ns += number as u64 * 1_000_000_000;
        for process in &mut snapshot.processes {
            process.name.push_str("<script>alert(1)</script>`|](x)");
        }
        for finding in &mut snapshot.findings {
            finding.process.push_str("<script>alert(1)</script>`|](x)\"'");
            for site in &mut finding.sites {
                site.function = Some("</pre><script>alert(2)</script>".to_owned());
            }
        }
        recording.add(snapshot);
    }
    recording
}

fn written(write: Writer, recording: &Recording) -> String {
    let mut out = Vec::new();
    write(recording, &mut out).expect("memory takes writes");
    String::from_utf8(out).expect("reports are UTF-8")
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).expect("the page is well-formed")
}

#[test]
fn text_and_markdown() {
    insta::assert_snapshot!("text", written(text, &recording()));
    insta::assert_snapshot!("markdown", written(markdown, &recording()));
}

#[test]
fn nothing_recorded_is_said_so() {
    let nothing = Recording::default();
    assert!(written(text, &nothing).contains("no readings"));
    assert!(written(markdown, &nothing).contains("No findings"));
    assert!(
        parsed(&written(html, &nothing))
            .descendants()
            .any(|node| node.has_tag_name("main") || node.tag_name().name() == "main")
    );
    assert!(written(json, &nothing).contains("\"host\": null"));
}

#[test]
fn json_has_everything() {
    let document: serde_json::Value = serde_json::from_str(&written(json, &recording())).expect("it is JSON");
    insta::assert_snapshot!("json", format!("{:#}", document["processes"][0]));
    let findings = document["findings"].as_array().expect("findings are an array");
    assert_eq!(findings.len(), sample::findings().len());
    assert_eq!(
        (&document["readings"], &document["processes"][5]["ended"]),
        (&61.into(), &false.into())
    );
}

#[test]
fn csv_has_a_line_for_every_process_and_reading() {
    let mut out = Vec::new();
    let mut csv = CsvWriter::new(&mut out, BTreeSet::from([4711]));
    for snapshot in sample::recording() {
        csv.write(&snapshot).expect("memory takes writes");
    }
    csv.finish().expect("memory takes writes");
    let text = String::from_utf8(out).expect("reports are UTF-8");
    assert_eq!(text.lines().count(), 62);
    let ends: Vec<&str> = text.lines().take(2).chain(text.lines().last()).collect();
    insta::assert_snapshot!("csv", ends.join("\n"));
}

#[test]
fn the_page_is_well_formed_and_asks_nobody() {
    let page = written(html, &recording());
    let document = parsed(&page);
    let charts = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("chart"));
    assert_eq!(
        charts.count(),
        4,
        "of every finding about a process that was seen"
    );
    let flames = document
        .descendants()
        .filter(|node| node.tag_name().name() == "iframe");
    assert_eq!(flames.count(), 3);
    for node in document.descendants() {
        for attribute in node.attributes() {
            let link = matches!(attribute.name(), "src" | "href" | "data" | "srcset" | "action");
            assert!(
                !link || attribute.value().starts_with("data:"),
                "{}",
                attribute.value()
            );
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    let frame = page.find("<iframe").map_or(page.len(), |at| at);
    insta::assert_snapshot!("html", &page[page.find("<body>").unwrap_or(0)..frame]);
}

#[test]
fn the_limit_and_the_forecast_are_drawn_where_they_are() {
    let page = written(html, &recording());
    let document = parsed(&page);
    let of = |class: &str| {
        document
            .descendants()
            .filter(|node| node.attribute("class") == Some(class))
            .count()
    };
    assert_eq!(
        (of("limit"), of("forecast")),
        (2, 3),
        "nothing is known to limit the threads"
    );
}

#[test]
fn hostile_names_are_text_in_every_format() {
    let recording = hostile();
    for write in [text as Writer, markdown] {
        let text = written(write, &recording);
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}', '\t']), "{text}");
    }
    let markdown = written(markdown, &recording);
    let outside_code = |line: &&str| !line.starts_with("    ") && !line.contains('`');
    assert!(
        !markdown
            .lines()
            .filter(outside_code)
            .any(|line| line.contains("<script")),
        "{markdown}"
    );
    let page = written(html, &recording);
    let document = parsed(&page);
    assert!(!page.contains(['\x1b', '\x07', '\u{202e}']));
    assert!(
        !document
            .descendants()
            .any(|node| node.tag_name().name() == "script")
    );
    assert!(!written(json, &recording).contains(['\x1b', '\x07']));
    let mut table = Vec::new();
    let mut csv = CsvWriter::new(&mut table, BTreeSet::new());
    csv.write(&sample::hostile()).expect("memory takes writes");
    csv.finish().expect("memory takes writes");
    let table = String::from_utf8(table).expect("reports are UTF-8");
    assert!(!table.contains(['\x1b', '\x07', '\u{202e}']));
    assert!(
        table.contains(",'=1+1,") && !table.contains(",=1+1"),
        "no cell is a formula: {table}"
    );
}
