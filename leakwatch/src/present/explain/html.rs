//! For a browser: the page of a recording, about one process.

use std::{
    fmt::{self, Write as _},
    io,
};

use super::{
    Difference, Explanation, apart, changed, is_compared,
    next_step::next_step,
    text::{acted, changes, function, held, holds, identity, rate, title},
    unread::unread,
};
use crate::model::finding::Resource;
use crate::present::{
    census,
    markup::Escaped,
    profile,
    report::recording::{Page, level},
    units, words,
};

/// Rows of the books, call sites, and frames of each that are shown.
const SHOWN_ROWS: usize = 32;
const SHOWN_SITES: usize = 16;
const SHOWN_FRAMES: usize = 24;

pub(super) fn write(explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    // A string takes writes.
    let page = page(explanation).map_err(io::Error::other)?;
    out.write_all(page.as_bytes())
}

fn page(explanation: &Explanation) -> Result<String, fmt::Error> {
    let observed = units::duration(explanation.recording.length_ns());
    let mut page = Page::begin(&title(explanation), &format!("observed for {observed}"))?;
    entries(&mut page.out, explanation)?;
    levels(&mut page.out, explanation)?;
    if explanation.findings().is_empty() {
        page.out.push_str("<p>No findings.</p>\n");
    }
    for finding in explanation.findings() {
        page.finding(&explanation.recording, finding)?;
    }
    books(&mut page.out, explanation)?;
    answers(&mut page.out, explanation)?;
    sites(&mut page.out, explanation)?;
    let unread = unread(explanation);
    if !unread.is_empty() {
        page.out.push_str("<article>\n<h2>Not known</h2>\n<ul>\n");
        for why in unread {
            writeln!(page.out, "<li>{}</li>", Escaped(&why))?;
        }
        page.out.push_str("</ul>\n</article>\n");
    }
    let next = next_step(explanation);
    writeln!(
        page.out,
        "<article>\n<h2>Next</h2>\n<pre>{}</pre>\n<p>{}</p>\n</article>",
        Escaped(&next.command),
        Escaped(&next.why)
    )?;
    Ok(page.end())
}

fn entries(out: &mut String, explanation: &Explanation) -> fmt::Result {
    out.push_str("<article>\n<dl>\n");
    for (label, value) in identity(explanation) {
        writeln!(out, "<div><dt>{label}</dt><dd>{}</dd></div>", Escaped(&value))?;
    }
    out.push_str("</dl>\n</article>\n");
    Ok(())
}

fn levels(out: &mut String, explanation: &Explanation) -> fmt::Result {
    let Some(course) = explanation.course() else {
        return Ok(());
    };
    writeln!(
        out,
        "<article>\n<h2>Levels</h2>\n<table><thead><tr><th>resource</th><th class=\"number\">held</th>\
         <th class=\"number\">growth</th><th>limit</th></tr></thead><tbody>"
    )?;
    for resource in Resource::ALL {
        let limits = explanation.process.limits.iter();
        let mut limits = limits.filter(|limit| limit.resource == resource);
        let limit = limits.next().map(|used| words::limit(resource, &used.limit));
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            words::resource(resource),
            level(course, resource),
            rate(&explanation.process, resource).unwrap_or_default(),
            Escaped(&limit.unwrap_or_default())
        )?;
    }
    out.push_str("</tbody></table>\n</article>\n");
    Ok(())
}

fn books(out: &mut String, explanation: &Explanation) -> fmt::Result {
    let Some(last) = &explanation.last_census else {
        return Ok(());
    };
    out.push_str("<article>\n<h2>Books</h2>\n");
    for view in &last.views {
        writeln!(out, "<p>{}</p>\n<dl>", Escaped(&census::title(view)))?;
        for (label, value) in census::numbers(view) {
            writeln!(
                out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                Escaped(&label),
                Escaped(&value)
            )?;
        }
        out.push_str("</dl>\n");
    }
    differences(out, &explanation.differences(), explanation.between_censuses())?;
    out.push_str("</article>\n");
    Ok(())
}

fn answers(out: &mut String, explanation: &Explanation) -> fmt::Result {
    let Some(answers) = explanation.answers() else {
        return Ok(());
    };
    writeln!(
        out,
        "<article>\n<h2>Answers of its runtime, for which it acted</h2>\n<p>{}</p>",
        Escaped(&acted(answers))
    )?;
    differences(out, &changed(answers), apart(&answers.first, &answers.last))?;
    out.push_str("</article>\n");
    Ok(())
}

fn differences(out: &mut String, differences: &[Difference], apart: f64) -> fmt::Result {
    out.push_str("<table><thead><tr>");
    let compared = is_compared(apart);
    if compared {
        write!(out, "<th class=\"number\">more in {}</th>", words::seconds(apart))?;
    }
    out.push_str("<th class=\"number\">held</th><th>what</th><th>whose</th></tr></thead><tbody>\n");
    for of in differences.iter().take(SHOWN_ROWS) {
        out.push_str("<tr>");
        if compared {
            write!(out, "<td class=\"number\">{}</td>", changes(of))?;
        }
        writeln!(
            out,
            "<td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
            holds(of),
            Escaped(&census::things(of.counted, &of.name)),
            Escaped(&of.runtime)
        )?;
    }
    out.push_str("</tbody></table>\n");
    Ok(())
}

fn sites(out: &mut String, explanation: &Explanation) -> fmt::Result {
    let sites = &explanation.process.sites;
    if sites.is_empty() {
        return Ok(());
    }
    out.push_str("<article>\n<h2>Call sites</h2>\n");
    for site in sites.iter().take(SHOWN_SITES) {
        write!(
            out,
            "<details><summary>{} <code>{}</code>: {}</summary><pre>",
            Escaped(&site.kind),
            Escaped(function(site)),
            Escaped(&held(site))
        )?;
        for frame in site.frames.iter().take(SHOWN_FRAMES) {
            writeln!(out, "{}", Escaped(&profile::label(frame)))?;
        }
        out.push_str("</pre></details>\n");
    }
    out.push_str("</article>\n");
    Ok(())
}
