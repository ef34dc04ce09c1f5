//! What is near a limit now.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::{
    CRITICAL_PERCENT, NearLimit,
    sentence::within,
    style::{amount, counted},
};
use crate::{
    model::{
        finding::{Resource, Span, Subject},
        snapshot::{LimitUse, ProcessRow, Snapshot},
    },
    present::text,
};

/// From here on a limit is worth a line.
const NEAR_PERCENT: f64 = 50.0;

/// Limits with names that begin so are of one process alone; of the rest the processes below it have one together.
const OWN: [&str; 7] = [
    "RLIMIT_NOFILE",
    "RLIMIT_AS",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_MEMLOCK",
    "fs.nr_open",
    "vm.max_map_count",
];

/// Limits of the processes that `is_target` and of the host that are at least half used, fullest first.
pub fn near_limits(snapshot: &Snapshot, is_target: impl Fn(&ProcessRow) -> bool) -> Vec<NearLimit> {
    let host = snapshot.host_limits.iter().map(|limit| NearLimit {
        pid: None,
        process: None,
        container: None,
        processes: 0,
        resource: limit.resource,
        limit: limit.limit.clone(),
        seconds_to_limit: None,
    });
    let mut near: Vec<NearLimit> = host.collect();
    let mut shared: BTreeMap<(Resource, Arc<str>), (usize, u64)> = BTreeMap::new();
    for process in snapshot.processes.iter().filter(|process| is_target(process)) {
        for limit in &process.limits {
            let row = NearLimit {
                pid: Some(process.id.pid),
                process: Some(process.name.clone()),
                container: process.container_id.clone(),
                processes: 1,
                resource: limit.resource,
                limit: limit.limit.clone(),
                seconds_to_limit: seconds_to(snapshot, process, limit),
            };
            if OWN.iter().any(|own| limit.limit.name.starts_with(own)) {
                near.push(row);
                continue;
            }
            let held = process.level(limit.resource);
            match shared.entry((limit.resource, Arc::clone(&limit.limit.name))) {
                Entry::Vacant(entry) => {
                    entry.insert((near.len(), held));
                    near.push(row);
                }
                Entry::Occupied(mut entry) => {
                    let (at, most) = entry.get_mut();
                    let processes = near[*at].processes + 1;
                    if held > *most {
                        *most = held;
                        near[*at] = row;
                    }
                    near[*at].processes = processes;
                }
            }
        }
    }
    near.retain(|near| near.used_percent() >= NEAR_PERCENT);
    near.sort_by(|a, b| {
        let by_use = b.used_percent().total_cmp(&a.used_percent());
        by_use
            .then(a.pid.cmp(&b.pid))
            .then_with(|| a.limit.name.cmp(&b.limit.name))
    });
    near
}

/// What a finding about this process says of this limit.
fn seconds_to(snapshot: &Snapshot, process: &ProcessRow, near: &LimitUse) -> Option<Span> {
    let mut findings = snapshot.findings.iter().filter(|finding| {
        let limit = finding.limit.as_ref();
        finding.subject == Subject::Process
            && (finding.pid, finding.start_time_ns) == (process.id.pid, process.id.start_time_ns)
            && finding.resource == near.resource
            && limit.is_some_and(|limit| limit.name == near.limit.name)
    });
    findings.next()?.seconds_to_limit
}

/// A head line, and a line for each limit; names in them are not cleaned.
pub(super) fn table<'a>(limits: impl Iterator<Item = &'a NearLimit>) -> Vec<String> {
    const HEAD: [&str; 6] = ["USED", "IN USE", "LIMIT", "TIME LEFT", "OF", "NAME"];
    /// Numbers are aligned to the right.
    const NUMBERS: usize = 3;
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(limits.map(|near| {
        [
            format!("{:.0} %", near.used_percent()),
            amount(near.resource, near.limit.in_use),
            amount(near.resource, near.limit.value),
            near.seconds_to_limit.map_or_else(|| "-".to_owned(), within),
            whose(near),
            near.limit.name.to_string(),
        ]
    }));
    let widest = |column: usize| rows.iter().map(|row| text::width(&row[column])).max();
    let widths: [usize; 6] = std::array::from_fn(|column| widest(column).unwrap_or_default());
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let blanks = " ".repeat(width - text::width(cell));
            if column < NUMBERS {
                format!("{blanks}{cell}")
            } else {
                format!("{cell}{blanks}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What the table comes to.
pub(super) fn summary(limits: &[NearLimit]) -> String {
    let critical = limits.iter().filter(|near| near.is_critical()).count();
    match critical {
        0 => format!("no limit is used to {CRITICAL_PERCENT} %"),
        critical => format!(
            "{} used to {CRITICAL_PERCENT} % or more",
            counted(critical, "limit is", "limits are")
        ),
    }
}

fn whose(near: &NearLimit) -> String {
    let name = near.process.as_deref();
    match (name, near.pid, near.processes) {
        (Some(name), Some(pid), 0 | 1) => format!("{name} ({pid})"),
        (Some(name), Some(pid), processes) => format!("{name} ({pid}) and {} more", processes - 1),
        _ => "the host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitUse, NearLimit, Resource, Snapshot, Span, near_limits, summary, table};
    use crate::{
        model::finding::Limit,
        present::{findings::sample as findings, sample},
    };

    fn limit(resource: Resource, name: &str, in_use: u64, value: u64) -> LimitUse {
        LimitUse {
            resource,
            limit: Limit {
                name: name.into(),
                value,
                in_use,
            },
        }
    }

    fn snapshot() -> Snapshot {
        let shared = limit(Resource::Thread, "pids.max of /shop", 95, 100);
        let mut small = sample::quiet(10, 1, "small");
        small.threads = 2;
        small.limits = vec![limit(Resource::Fd, "RLIMIT_NOFILE", 600, 1024), shared.clone()];
        let mut large = sample::quiet(11, 1, "large");
        large.threads = 90;
        large.limits = vec![
            limit(Resource::Fd, "RLIMIT_NOFILE", 10, 1024),
            shared,
            limit(Resource::Maps, "vm.max_map_count", 0, 0),
        ];
        let mut finding = findings::leak();
        finding.pid = 10;
        finding.start_time_ns = small.id.start_time_ns;
        Snapshot {
            processes: vec![small, large],
            findings: vec![finding],
            host_limits: vec![limit(Resource::Fd, "fs.file-max", 80, 100)],
            ..sample::snapshot()
        }
    }

    fn names(near: &[NearLimit]) -> Vec<(Option<u32>, &str, u32)> {
        near.iter()
            .map(|near| (near.pid, near.limit.name.as_ref(), near.processes))
            .collect()
    }

    #[test]
    fn the_fullest_come_first_and_what_is_shared_is_said_once() {
        let near = near_limits(&snapshot(), |_| true);
        assert_eq!(
            names(&near),
            [
                (Some(11), "vm.max_map_count", 1),
                (Some(11), "pids.max of /shop", 2),
                (None, "fs.file-max", 0),
                (Some(10), "RLIMIT_NOFILE", 1),
            ]
        );
        assert_eq!(
            near[3].seconds_to_limit,
            Some(Span {
                low: 840.0,
                high: Some(1320.0)
            }),
            "of the finding about it"
        );
        assert_eq!(summary(&near), "2 limits are used to 90 % or more");
        assert_eq!(summary(&near[2..]), "no limit is used to 90 %");
        insta::assert_snapshot!("limits", table(near.iter()).join("\n"));
    }

    #[test]
    fn only_of_those_who_are_watched() {
        let near = near_limits(&snapshot(), |process| process.id.pid == 10);
        assert_eq!(
            names(&near),
            [
                (Some(10), "pids.max of /shop", 1),
                (None, "fs.file-max", 0),
                (Some(10), "RLIMIT_NOFILE", 1)
            ]
        );
    }
}
