//! `/metrics` for Prometheus, and the snapshot itself where that is safe.

use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

use axum::{extract::State, http::StatusCode, response::Response};
use prometheus::{TextEncoder, core::Collector};

use super::{App, Refusal, Scrapes};
use crate::model::snapshot::Snapshot;

/// Prometheus 3 refuses a scrape whose content type it does not know.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.render(EXPOSITION, exposition).await
}

pub(super) async fn snapshot(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    if !app.options.snapshot_api {
        let reason = "the snapshot holds command lines, so it is served on loopback and unix sockets only: \
                      run `leakwatch top --once -o json` on the host\n";
        return Err((StatusCode::FORBIDDEN, reason.to_owned()));
    }
    app.render("application/json", |_, snapshot| {
        serde_json::to_string(&*snapshot).map_err(|error| error.to_string())
    })
    .await
}

pub(super) fn exposition(app: &App, snapshot: Arc<Snapshot>) -> Result<String, String> {
    let begin = Instant::now();
    let collector = with_scrapes(app, |scrapes| scrapes.collector(snapshot));
    let text = TextEncoder::new()
        .encode_to_string(&collector.collect())
        .map_err(|error| error.to_string())?;
    with_scrapes(app, |scrapes| scrapes.completed(begin.elapsed().as_secs_f64()));
    Ok(text)
}

fn with_scrapes<T>(app: &App, act: impl FnOnce(&mut Scrapes) -> T) -> T {
    act(&mut app.scrapes.lock().unwrap_or_else(PoisonError::into_inner))
}
