//! `/debug/pprof/`: call sites of one process, as `go tool pprof` and Pyroscope ask for them.

use std::{cmp::Reverse, fmt::Write as _, sync::Arc};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{App, Refusal, unavailable};
use crate::model::snapshot::{ProcessRow, Snapshot, State as Verdict};
use crate::present::{
    markup::Escaped,
    profile::{self, Profile, Resource, pprof},
};

/// Ticks to wait for: the first has the sites, the next ones the names of their functions.
const TICKS: usize = 3;

/// Processes that the index lists.
const MAX_LISTED: usize = 100;

/// What may follow the `?`. `seconds`, which pprof clients add, is ignored: what is held now does not depend on it.
#[derive(Deserialize)]
pub(super) struct Asked {
    pid: Option<String>,
}

/// What the process holds.
pub(super) async fn profile(
    State(app): State<Arc<App>>,
    Path(resource): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let resource = Resource::named(&resource).ok_or_else(|| {
        let names = Resource::ALL.map(Resource::name).join(", ");
        refusal(
            StatusCode::NOT_FOUND,
            &format!("no such profile: there are {names}"),
        )
    })?;
    let pid = pid(asked)?;
    let Ok(_permit) = app.waiting.try_acquire() else {
        return Err(unavailable(
            "other profiles are being made: ask again in some seconds",
        ));
    };
    let snapshot = app.with_sites_of(pid).await?;
    let body = tokio::task::spawn_blocking(move || {
        pprof::write(&Profile::of(&snapshot, &[pid].into(), resource, 0))
    });
    let body = body
        .await
        .map_err(|error| refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
    let name = format!(
        "attachment; filename=\"leakwatch-{pid}-{}.pb.gz\"",
        resource.name()
    );
    let head = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, name.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((head, body).into_response())
}

fn refusal(status: StatusCode, why: &str) -> Refusal {
    (status, format!("{why}\n"))
}

fn pid(asked: Result<Query<Asked>, QueryRejection>) -> Result<u32, Refusal> {
    let pid = asked.ok().and_then(|Query(asked)| asked.pid?.parse().ok());
    pid.ok_or_else(|| {
        let why = "say which process: ?pid=N; /debug/pprof/ lists those that grow first";
        refusal(StatusCode::BAD_REQUEST, why)
    })
}

impl App {
    /// A snapshot that was read after somebody asked for the sites of this process, with their names if they come in time.
    async fn with_sites_of(&self, pid: u32) -> Result<Arc<Snapshot>, Refusal> {
        let mut latest = self.latest()?;
        process(&latest, pid)?;
        let _wish = self.wishes.wish(pid);
        let mut snapshots = self.snapshots.clone();
        // What is known by now was read before the wish.
        snapshots.mark_unchanged();
        for _ in 0..TICKS {
            match timeout(self.options.stale_after, snapshots.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(unavailable("the sampling loop has ended")),
                Err(_) => return Err(unavailable("the sampling loop hangs")),
            }
            latest = self.latest()?;
            snapshots.mark_unchanged();
            if profile::is_settled(process(&latest, pid)?) {
                break;
            }
        }
        Ok(latest)
    }
}

fn process(snapshot: &Snapshot, pid: u32) -> Result<&ProcessRow, Refusal> {
    let found = snapshot.processes.iter().find(|process| process.id.pid == pid);
    found.ok_or_else(|| {
        let why = format!("no process {pid}: it has ended, or that is its number in another PID namespace");
        refusal(StatusCode::NOT_FOUND, &why)
    })
}

/// What there is, and the processes that are worth a look.
pub(super) async fn index(State(app): State<Arc<App>>) -> Result<Html<String>, Refusal> {
    let snapshot = app.latest()?;
    let mut processes: Vec<&ProcessRow> = snapshot.processes.iter().collect();
    processes.sort_by_key(|process| (process.state != Verdict::Growing, Reverse(process.rss_anon_bytes)));
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>leakwatch: profiles</title>\n<h1>What processes hold, by call site</h1>\n\
         <pre>go tool pprof -http=: 'http://ADDRESS/debug/pprof/fd?pid=PID'</pre>\n\
         <p>The processes that grow come first, then those with most memory.</p>\n<table>\n",
    );
    for process in processes.iter().take(MAX_LISTED) {
        let pid = process.id.pid;
        // Writing to a string cannot fail.
        let _ = write!(page, "<tr><td>{pid}<td>{}", Escaped(&process.name));
        for resource in Resource::ALL.map(Resource::name) {
            let _ = write!(
                page,
                "<td><a href=\"/debug/pprof/{resource}?pid={pid}\">{resource}</a>"
            );
        }
        page.push('\n');
    }
    page.push_str("</table>\n");
    let left_out = processes.len().saturating_sub(MAX_LISTED);
    if left_out > 0 {
        let _ = writeln!(page, "<p>and {left_out} more");
    }
    Ok(Html(page))
}
