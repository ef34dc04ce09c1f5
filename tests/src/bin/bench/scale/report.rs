//! Tables of what the watchers used, and what became of the budgets.

use super::{
    Part, Windows,
    watcher::{Share, Watcher},
};
use leakwatch_tests::markdown::Table;

use crate::spread::Spread;

const MIB: f64 = 1_048_576.0;

/// At the largest size: percent of one core, MiB resident, MiB in kernel maps, seconds to the first table.
const BUDGETS: (f64, f64, f64, f64) = (1.0, 64.0, 64.0, 2.0);

pub(super) fn render(parts: &[Part], windows: Windows) -> String {
    let mut text = format!(
        "Each watcher reads once a second. Processor time is user + system, percent of one core, over {} s alone and over {} \
         scrapes, one a second; readers of `/proc` over {} s. Reading and scrape: `median [min..max]`, milliseconds. Load: \
         average of the machine when the part began.\n\n",
        windows.alone.as_secs(),
        windows.scrapes,
        windows.readers,
    );
    text += &used(parts);
    text += "\n";
    text += &budgets(parts);
    text
}

fn used(parts: &[Part]) -> String {
    let mut table = Table::new([
        "processes",
        "watcher",
        "CPU %",
        "CPU % scraped",
        "reading ms",
        "scrape ms",
        "RSS MiB",
        "maps MiB",
        "first table s",
        "load",
    ]);
    for part in parts {
        let measured = &part.measured;
        table.row([
            part.processes.to_string(),
            part.watcher.name().to_owned(),
            share(measured.alone),
            share(measured.scraped),
            milliseconds(measured.reading),
            milliseconds(measured.scrape),
            format!("{:.1}", measured.resident_bytes as f64 / MIB),
            measured
                .map_bytes
                .map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", bytes / MIB)),
            format!("{:.2}", measured.first_table),
            format!("{:.1}", part.load_average),
        ]);
    }
    table.render()
}

fn share(share: Option<Share>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |Share { user, system }| format!("{:.2} ({user:.2} + {system:.2})", user + system),
    )
}

fn milliseconds(seconds: Option<Spread>) -> String {
    let milliseconds = |Spread { min, median, max }: Spread| Spread {
        min: min * 1e3,
        median: median * 1e3,
        max: max * 1e3,
    };
    seconds.map_or_else(|| "-".to_owned(), |spread| milliseconds(spread).show(1))
}

fn budgets(parts: &[Part]) -> String {
    let Some(largest) = parts.iter().rev().find(|part| part.watcher == Watcher::Leakwatch) else {
        return String::new();
    };
    let measured = &largest.measured;
    let (cpu, resident, maps, first_table) = BUDGETS;
    let alone = measured.alone.map_or(f64::NAN, |share| share.user + share.system);
    let rows = [
        ("agent CPU, % of one core", cpu, alone),
        ("agent RSS, MiB", resident, measured.resident_bytes as f64 / MIB),
        (
            "kernel maps, MiB",
            maps,
            measured.map_bytes.unwrap_or(f64::NAN) / MIB,
        ),
        ("first complete table, s", first_table, measured.first_table),
    ];
    let mut table = Table::new([
        format!("budget, {} processes", largest.processes),
        "under".to_owned(),
        "measured".to_owned(),
        String::new(),
    ]);
    for (what, allowed, value) in rows {
        let verdict = if value < allowed {
            "met".to_owned()
        } else {
            format!("missed: {:.1} x", value / allowed)
        };
        table.row([
            what.to_owned(),
            allowed.to_string(),
            format!("{value:.2}"),
            verdict,
        ]);
    }
    table.render()
}
