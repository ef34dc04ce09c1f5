//! For a browser: one file that asks nobody for anything, in light and in dark, and well-formed XML as well.

mod chart;

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    io::{self, Write},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{SHOWN_FRAMES, SHOWN_PROCESSES, SHOWN_SITES, frame, held, level, numbers, period, state};
use crate::model::finding::{Finding, Resource};
use crate::present::{
    fields::state_name,
    findings::{self, sentence, weight},
    markup::Escaped,
    profile::{self, Profile, svg},
    recording::Recording,
    summary, words,
};

const STYLE: &str = include_str!("style.css");

/// What the page may do: show what is in it. The flame graphs bring a script of their own, which may not ask for anything
/// either.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src data:";

/// Flame graphs drawn: each is a document in the document.
const SHOWN_FLAMES: usize = 8;

/// Writes the page.
///
/// # Errors
/// What the writer says.
pub fn write(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    // A string takes writes.
    let page = document(recording).map_err(io::Error::other)?;
    out.write_all(page.as_bytes())
}

fn document(recording: &Recording) -> Result<String, fmt::Error> {
    let host = recording.last().map_or("-", |last| last.host.as_str());
    let mut page = Page::begin(&format!("leakwatch: {host}"), &period(recording))?;
    if let Some(last) = recording.last() {
        for problem in summary::problems(&last.health) {
            writeln!(
                page.out,
                "<p class=\"degraded\">degraded: {}</p>",
                Escaped(&problem)
            )?;
        }
    }
    let findings = recording.findings();
    if findings.is_empty() {
        writeln!(page.out, "<p>No findings.</p>")?;
    }
    for finding in findings {
        page.finding(recording, finding)?;
    }
    page.processes(recording)?;
    Ok(page.end())
}

/// A page that is being written.
pub(in crate::present) struct Page {
    /// What there is of it.
    pub(in crate::present) out: String,
    flames: usize,
}

impl Page {
    /// Up to its title, and what it is about.
    pub(in crate::present) fn begin(title: &str, about: &str) -> Result<Self, fmt::Error> {
        let mut page = Self {
            out: String::new(),
            flames: 0,
        };
        write!(
            page.out,
            "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n\
             <meta charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n<p class=\"quiet\">{about}; leakwatch {version}</p>\n</header>\n<main>\n",
            title = Escaped(title),
            about = Escaped(about),
            version = env!("CARGO_PKG_VERSION"),
        )?;
        Ok(page)
    }

    /// All of it.
    pub(in crate::present) fn end(mut self) -> String {
        self.out.push_str("</main>\n</body>\n</html>\n");
        self.out
    }

    /// One finding with its chart, its evidence and its stacks.
    pub(in crate::present) fn finding(&mut self, recording: &Recording, finding: &Finding) -> fmt::Result {
        let verdict = finding.verdict.name();
        write!(
            self.out,
            "<article>\n<h2><span class=\"{verdict}\">{verdict}</span> {} ({})",
            Escaped(&finding.process),
            finding.pid
        )?;
        if finding.exhausting {
            write!(self.out, " <span class=\"exhausting\">exhausting</span>")?;
        }
        writeln!(self.out, "</h2>\n<p>{}</p>\n<dl>", Escaped(&sentence(finding)))?;
        for (label, value) in numbers(finding) {
            writeln!(
                self.out,
                "<div><dt>{label}</dt><dd>{}</dd></div>",
                Escaped(&value)
            )?;
        }
        self.out.push_str("</dl>\n");
        if let Some(course) = recording.course(finding.id()) {
            chart::draw(&mut self.out, course, finding, recording.length_ns())?;
        }
        self.evidence(finding)?;
        self.holders(finding)?;
        self.sites(finding)?;
        self.flame(recording, finding)?;
        self.out.push_str("</article>\n");
        Ok(())
    }

    fn evidence(&mut self, finding: &Finding) -> fmt::Result {
        if finding.evidence.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<table><thead><tr><th>weight</th><th>evidence</th><th></th></tr></thead><tbody>"
        )?;
        for reason in &finding.evidence {
            let class = if reason.log_odds > 0.0 { "more" } else { "less" };
            writeln!(
                self.out,
                "<tr><td class=\"{class}\">{}</td><td>{}</td><td>{}</td></tr>",
                weight(reason),
                Escaped(&reason.name),
                Escaped(&reason.text)
            )?;
        }
        writeln!(self.out, "</tbody></table>")
    }

    fn holders(&mut self, finding: &Finding) -> fmt::Result {
        for holder in &finding.holders {
            writeln!(self.out, "<p>holds {}</p>", Escaped(&findings::holder(holder)))?;
        }
        Ok(())
    }

    fn sites(&mut self, finding: &Finding) -> fmt::Result {
        for site in finding.sites.iter().take(SHOWN_SITES) {
            let function = site.function.as_deref().unwrap_or("no function known");
            write!(
                self.out,
                "<details><summary>{} <code>{}</code>: {}</summary><pre>",
                Escaped(&site.kind),
                Escaped(function),
                Escaped(&held(finding.resource, site))
            )?;
            for (function, place) in site.frames.iter().take(SHOWN_FRAMES).map(frame) {
                writeln!(self.out, "{}  {}", Escaped(&function), Escaped(&place))?;
            }
            writeln!(self.out, "</pre></details>")?;
        }
        Ok(())
    }

    /// What the process holds by stack, as it was at the last reading.
    fn flame(&mut self, recording: &Recording, finding: &Finding) -> fmt::Result {
        let resource = match finding.resource {
            Resource::Memory | Resource::Maps => profile::Resource::Memory,
            Resource::Fd => profile::Resource::Fd,
            Resource::Thread => profile::Resource::Thread,
        };
        let Some(last) = recording.last().filter(|_| self.flames < SHOWN_FLAMES) else {
            return Ok(());
        };
        let profile = Profile::of(
            last,
            &BTreeSet::from([finding.pid]),
            resource,
            recording.length_ns(),
        );
        if profile.attributed() == 0 {
            return Ok(());
        }
        self.flames += 1;
        let picture = svg::of_profile(&profile);
        let height = picture_height(&picture);
        writeln!(
            self.out,
            "<iframe title=\"{} of {} by stack\" sandbox=\"allow-scripts\" style=\"height: {height}px\" \
             src=\"data:image/svg+xml,{}\"></iframe>",
            words::resource(finding.resource),
            Escaped(&finding.process),
            utf8_percent_encode(&picture, NON_ALPHANUMERIC)
        )
    }

    fn processes(&mut self, recording: &Recording) -> fmt::Result {
        let courses = recording.courses();
        writeln!(
            self.out,
            "<article>\n<h2>Processes</h2>\n<table><thead><tr><th class=\"number\">pid</th><th>process</th><th>state</th>\
             <th class=\"number\">memory</th><th class=\"number\">descriptors</th><th class=\"number\">threads</th>\
             <th class=\"number\">mappings</th></tr></thead><tbody>"
        )?;
        for course in courses.iter().take(SHOWN_PROCESSES) {
            write!(
                self.out,
                "<tr><td class=\"number\">{}</td><td>{}</td><td class=\"{}\">{}</td>",
                course.id.pid,
                Escaped(&course.name),
                state_name(course.state),
                state(course)
            )?;
            for resource in Resource::ALL {
                write!(self.out, "<td class=\"number\">{}</td>", level(course, resource))?;
            }
            writeln!(self.out, "</tr>")?;
        }
        writeln!(self.out, "</tbody></table>")?;
        if courses.len() > SHOWN_PROCESSES {
            let more = courses.len() - SHOWN_PROCESSES;
            writeln!(self.out, "<p class=\"quiet\">and {more} more</p>")?;
        }
        writeln!(self.out, "</article>")
    }
}

/// As the picture says itself.
fn picture_height(picture: &str) -> usize {
    let after = picture.split_once(" height=\"").map(|(_, after)| after);
    let digits = after.and_then(|after| after.split('"').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(400)
}
