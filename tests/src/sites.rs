//! What a snapshot says about who took what.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use leakwatch::model::snapshot::{ProcessRow, SiteRow, Snapshot};

use crate::table::Table;

/// The sites of one kind that blame one function.
#[derive(Clone, Debug)]
pub struct Blamed<'a> {
    /// The function; `None` for the sites without a name.
    pub function: Option<&'a str>,
    /// Things that its sites hold. Not bytes: a runtime that reserves an arena holds more of them than who leaks, and keeps it.
    pub live: u64,
    /// Its sites, the one with most live things first.
    pub sites: Vec<&'a SiteRow>,
}

/// The functions that hold things of `kind`, most first.
pub fn by_function<'a>(row: &'a ProcessRow, kind: &str) -> Vec<Blamed<'a>> {
    let mut functions: BTreeMap<Option<&str>, Vec<&SiteRow>> = BTreeMap::new();
    // A row without frames is no site, but what no sample stands for.
    let sites = row
        .sites
        .iter()
        .filter(|site| site.kind == kind && !site.frames.is_empty());
    for site in sites {
        functions.entry(site.function.as_deref()).or_default().push(site);
    }
    let mut blamed: Vec<_> = functions
        .into_iter()
        .map(|(function, mut sites)| {
            sites.sort_by_key(|site| std::cmp::Reverse(site.live));
            let live = sites.iter().filter_map(|site| site.live).sum();
            Blamed {
                function,
                live,
                sites,
            }
        })
        .collect();
    blamed.sort_by_key(|blamed| std::cmp::Reverse(blamed.live));
    blamed
}

/// Whether `function` is `name`, with or without its parameters.
pub fn is_named(function: Option<&str>, name: &str) -> bool {
    function
        .and_then(|function| function.strip_prefix(name))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
}

/// Whether most live things of `kind` are held by the function `name`.
pub fn top_is(row: &ProcessRow, kind: &str, name: &str) -> bool {
    by_function(row, kind)
        .first()
        .is_some_and(|top| is_named(top.function, name))
}

/// The row of a process.
pub fn row(snapshot: &Snapshot, pid: u32) -> Option<&ProcessRow> {
    snapshot.processes.iter().find(|row| row.id.pid == pid)
}

/// A table of who holds what, with the stack of the largest site of each function.
pub fn describe(row: &ProcessRow, kind: &str) -> String {
    let mut table = Table::new(&["function", "live", "born", "samples", "cut", "stack"]);
    for blamed in by_function(row, kind).iter().take(8) {
        let Some(site) = blamed.sites.first() else {
            continue;
        };
        let frames: Vec<_> = site
            .frames
            .iter()
            .map(|frame| {
                let unnamed = format!("{}+{:#x}", frame.module, frame.address);
                frame.function.clone().unwrap_or(unnamed)
            })
            .collect();
        table.row([
            blamed.function.unwrap_or("-").to_owned(),
            blamed.live.to_string(),
            blamed.sites.iter().map(|site| site.born).sum::<u64>().to_string(),
            blamed
                .sites
                .iter()
                .map(|site| site.samples)
                .sum::<u64>()
                .to_string(),
            site.cut.clone().unwrap_or_default(),
            frames.join(" < "),
        ]);
    }
    format!("process {} ({}), kind {kind}:\n{table}", row.id.pid, row.name)
}

/// Tries `attempt` every half a second until it is `Some` or `patience` is over.
pub fn wait_for<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = attempt()? {
            return Ok(Some(value));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn parameters_do_not_matter_and_the_rest_does() {
        assert!(is_named(Some("shop::leak(int)"), "shop::leak"));
        assert!(is_named(Some("leak"), "leak"));
        assert!(!is_named(Some("leak_more"), "leak"));
        assert!(!is_named(Some("churn"), "leak"));
        assert!(!is_named(None, "leak"));
    }
}
