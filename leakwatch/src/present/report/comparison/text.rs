//! For a terminal: a table for each resource, by process and by function.

use std::io::{self, Write};

use crate::model::finding::Resource;
use crate::present::{
    recording::compare::{Comparison, Moment, ProcessChange},
    report::recording::signed,
    summary, text, words,
};

/// Lines of each table.
const SHOWN: usize = 20;

/// Writes what grew most, and what shrank last.
///
/// # Errors
/// What the writer says.
pub fn write(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |content: &str| writeln!(out, "{}", text::printable(content).trim_end());
    let moment = |moment: &Moment| format!("{} {}", moment.host, summary::time(moment.time_unix_ms));
    line(&format!(
        "{} to {}",
        moment(&comparison.base),
        moment(&comparison.new)
    ))?;
    if comparison.processes.is_empty() && comparison.sites.is_empty() {
        return line("nothing grew and nothing shrank");
    }
    for resource in Resource::ALL {
        let numbers = |base, new, change: i64| {
            let held = [base, new].map(|held| words::amount(resource, held));
            format!(
                "{:>10} {:>9} {:>9}",
                signed(resource, change.into()),
                held[0],
                held[1]
            )
        };
        let of_resource = |name: &str| name == resource.name();
        let processes = comparison
            .processes
            .iter()
            .filter(|change| of_resource(change.resource));
        let by_process = processes.map(|change| {
            let numbers = numbers(change.base, change.new, change.change);
            format!("{numbers}  {}", who(change))
        });
        let sites = comparison
            .sites
            .iter()
            .filter(|change| of_resource(change.resource));
        let by_site = sites.map(|change| {
            let numbers = numbers(change.base, change.new, change.change);
            format!(
                "{numbers}  {} {} {}",
                change.process, change.kind, change.function
            )
        });
        let tables = [
            ("by process", by_process.collect::<Vec<_>>()),
            ("by process, kind and function", by_site.collect()),
        ];
        for (head, rows) in tables.iter().filter(|(_, rows)| !rows.is_empty()) {
            line("")?;
            line(&format!(
                "{:>10} {:>9} {:>9}  {} {head}",
                "CHANGE",
                "BASE",
                "NEW",
                words::resource(resource)
            ))?;
            for row in rows.iter().take(SHOWN) {
                line(row)?;
            }
            if rows.len() > SHOWN {
                line(&format!("{:>10} and {} more", "", rows.len() - SHOWN))?;
            }
        }
    }
    Ok(())
}

/// A process, or how many of a program there were and are.
fn who(change: &ProcessChange) -> String {
    match change.pid {
        Some(pid) => format!("{} ({pid})", change.process),
        None => format!(
            "{} ({} before, {} now)",
            change.process, change.processes_base, change.processes_new
        ),
    }
}
