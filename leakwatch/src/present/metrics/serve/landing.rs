//! What a person sees who opens the address in a browser.

use std::sync::Arc;

use axum::{extract::State, response::Html};

use super::App;

pub(super) async fn page(State(app): State<Arc<App>>) -> Html<String> {
    let snapshot = if app.options.snapshot_api {
        "<li><a href=\"/api/v1/snapshot\">/api/v1/snapshot</a>: everything, as JSON</li>\n"
    } else {
        ""
    };
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<title>leakwatch</title>\n<h1>leakwatch {}</h1>\n<ul>\n\
         <li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n\
         <li><a href=\"/healthz\">/healthz</a>: whether the agent is alive</li>\n\
         <li><a href=\"/readyz\">/readyz</a>: whether it sees what it should</li>\n\
         <li><a href=\"/debug/pprof/\">/debug/pprof/</a>: call sites, for go tool pprof and Pyroscope</li>\n{snapshot}</ul>\n",
        env!("CARGO_PKG_VERSION")
    ))
}
