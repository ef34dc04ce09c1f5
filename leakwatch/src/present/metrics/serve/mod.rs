//! HTTP: who may ask for what, and how much of it at a time. One file for each group of pages.

mod exposition;
mod health;
mod landing;
mod profiles;
mod wishes;

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot, watch},
};

pub use self::wishes::Wishes;
use super::collector::Scrapes;
use crate::model::snapshot::Snapshot;

/// Default of `--metrics-max-groups`.
pub const DEFAULT_MAX_GROUPS: usize = 500;

/// Answers rendered at the same time; more would cost memory and gain nothing on one snapshot.
const MAX_PARALLEL: usize = 4;

/// How long requests under way may take after the shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What the agent's command line decides.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// How many groups of processes get series of their own; see [`DEFAULT_MAX_GROUPS`].
    pub max_groups: usize,
    /// Names of the probes without which `/readyz` says no.
    pub required_probes: Vec<String>,
    /// Whether `/api/v1/snapshot` is answered. It holds command lines and paths, so it belongs on loopback and unix
    /// sockets only.
    pub snapshot_api: bool,
    /// From this age of the last snapshot on, `/healthz` says that the agent hangs.
    pub stale_after: Duration,
}

struct App {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    options: MetricsOptions,
    scrapes: Mutex<Scrapes>,
    permits: Semaphore,
    wishes: Wishes,
    /// For profiles, which wait for ticks: they hold up no scrape.
    waiting: Semaphore,
}

/// The pages of the agent. The sender of `snapshots` is the sampling loop, which obeys `wishes`: when it is dropped,
/// `/healthz` fails.
pub fn router(
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    options: MetricsOptions,
    wishes: Wishes,
) -> Router {
    let app = App {
        snapshots,
        scrapes: Mutex::new(Scrapes::new(options.max_groups)),
        permits: Semaphore::new(MAX_PARALLEL),
        wishes,
        waiting: Semaphore::new(MAX_PARALLEL),
        options,
    };
    Router::new()
        .route("/", get(landing::page))
        .route("/metrics", get(exposition::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/v1/snapshot", get(exposition::snapshot))
        .route("/debug/pprof", get(profiles::index))
        .route("/debug/pprof/", get(profiles::index))
        .route("/debug/pprof/{resource}", get(profiles::profile))
        .with_state(Arc::new(app))
}

/// Serves until `shutdown` completes, then answers what is under way and returns within about a second.
pub async fn serve<F>(listener: TcpListener, router: Router, shutdown: F) -> io::Result<()>
where
    F: Future + Send + 'static,
{
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stopping);
    });
    // A client that never finishes its request must not hold up the exit.
    let grace_over = async {
        let _ = stopped.await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = server.into_future() => result,
        () = grace_over => Ok(()),
    }
}

/// A refusal: the reason is for a person who reads it in `kubectl describe` or `curl`.
type Refusal = (StatusCode, String);

fn unavailable(reason: impl Into<String>) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, reason.into() + "\n")
}

impl App {
    fn latest(&self) -> Result<Arc<Snapshot>, Refusal> {
        self.snapshots
            .borrow()
            .clone()
            .ok_or_else(|| unavailable("no snapshot yet: the first tick is not complete"))
    }

    /// Runs `answer` off the thread that drains the feed.
    async fn render<F>(self: Arc<Self>, content_type: &'static str, answer: F) -> Result<Response, Refusal>
    where
        F: FnOnce(&Self, Arc<Snapshot>) -> Result<String, String> + Send + 'static,
    {
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(unavailable(format!(
                "{MAX_PARALLEL} requests are being answered already: ask again later"
            )));
        };
        let snapshot = self.latest()?;
        let app = Arc::clone(&self);
        let body = tokio::task::spawn_blocking(move || answer(&app, snapshot))
            .await
            .map_err(|error| error.to_string())
            .flatten()
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error + "\n"))?;
        Ok(([(CONTENT_TYPE, content_type)], body).into_response())
    }
}

#[cfg(test)]
mod tests;
