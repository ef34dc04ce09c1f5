//! HTTP: who may ask for what, and how much of it at a time.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use prometheus::{TextEncoder, core::Collector};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot, watch},
};

use super::collector::Scrapes;
use crate::model::{
    health::{ProbeHealth, ProbeState},
    snapshot::Snapshot,
};

/// Default of `--metrics-max-groups`.
pub const DEFAULT_MAX_GROUPS: usize = 500;

/// Prometheus 3 refuses a scrape whose content type it does not know.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

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
}

/// The pages of the agent. The sender of `snapshots` is the sampling loop: when it is dropped, `/healthz` fails.
pub fn router(snapshots: watch::Receiver<Option<Arc<Snapshot>>>, options: MetricsOptions) -> Router {
    let app = App {
        snapshots,
        scrapes: Mutex::new(Scrapes::new(options.max_groups)),
        permits: Semaphore::new(MAX_PARALLEL),
        options,
    };
    Router::new()
        .route("/", get(landing))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/snapshot", get(snapshot))
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

    fn exposition(&self, snapshot: Arc<Snapshot>) -> Result<String, String> {
        let begin = Instant::now();
        let collector = self.with_scrapes(|scrapes| scrapes.collector(snapshot));
        let text = TextEncoder::new()
            .encode_to_string(&collector.collect())
            .map_err(|error| error.to_string())?;
        self.with_scrapes(|scrapes| scrapes.completed(begin.elapsed().as_secs_f64()));
        Ok(text)
    }

    fn with_scrapes<T>(&self, act: impl FnOnce(&mut Scrapes) -> T) -> T {
        act(&mut self.scrapes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.render(EXPOSITION, App::exposition).await
}

async fn snapshot(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
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

/// Alive: the sampling loop runs. Before the first snapshot nothing is known to be wrong.
async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    if app.snapshots.has_changed().is_err() {
        return Err(unavailable("the sampling loop has ended"));
    }
    let latest = app.snapshots.borrow().clone();
    if let Some(age) = latest
        .map(|snapshot| age(&snapshot))
        .filter(|age| *age > app.options.stale_after)
    {
        return Err(unavailable(format!(
            "the last snapshot is {} s old: the sampling loop hangs",
            age.as_secs()
        )));
    }
    Ok("ok\n")
}

fn age(snapshot: &Snapshot) -> Duration {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let uptime = Duration::try_from(uptime).unwrap_or_default();
    uptime.saturating_sub(Duration::from_nanos(snapshot.uptime_ns))
}

/// Ready: there is a snapshot and every required probe does its work.
async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    let snapshot = app.latest()?;
    let missing: Vec<String> = app
        .options
        .required_probes
        .iter()
        .filter_map(|name| missing_probe(name, &snapshot.health.probes))
        .collect();
    if missing.is_empty() {
        Ok("ready\n")
    } else {
        Err(unavailable(missing.join("\n")))
    }
}

fn missing_probe(name: &str, probes: &[ProbeHealth]) -> Option<String> {
    match probes.iter().find(|probe| probe.name == name) {
        None => Some(format!("probe {name} is not loaded")),
        Some(ProbeHealth {
            state: ProbeState::Failed,
            hook,
            reason,
            ..
        }) => {
            let reason = reason
                .as_deref()
                .unwrap_or("reason unknown, run `leakwatch doctor`");
            Some(format!("probe {name} is not attached to {hook}: {reason}"))
        }
        Some(_) => None,
    }
}

async fn landing(State(app): State<Arc<App>>) -> Html<String> {
    let snapshot = if app.options.snapshot_api {
        "<li><a href=\"/api/v1/snapshot\">/api/v1/snapshot</a>: everything, as JSON</li>\n"
    } else {
        ""
    };
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<title>leakwatch</title>\n<h1>leakwatch {}</h1>\n<ul>\n\
         <li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n\
         <li><a href=\"/healthz\">/healthz</a>: whether the agent is alive</li>\n\
         <li><a href=\"/readyz\">/readyz</a>: whether it sees what it should</li>\n{snapshot}</ul>\n",
        env!("CARGO_PKG_VERSION")
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, pending},
        net::SocketAddr,
        sync::Arc,
        time::{Duration, Instant},
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::{oneshot, watch},
    };

    use super::{App, MAX_PARALLEL, MetricsOptions, age, router, serve};
    use crate::{
        model::{
            health::{ProbeHealth, ProbeState},
            snapshot::{ProcessRow, Snapshot},
        },
        present::metrics::fixture::{row, snapshot},
    };

    const STALE_AFTER: Duration = Duration::from_secs(10);

    fn options() -> MetricsOptions {
        MetricsOptions {
            max_groups: 500,
            required_probes: vec!["sys_exit".to_owned()],
            snapshot_api: true,
            stale_after: STALE_AFTER,
        }
    }

    /// Now, with one process that has a secret in its command line.
    fn sample() -> Snapshot {
        let uptime = age(&snapshot(0, Vec::new()));
        let secretive = ProcessRow {
            cmdline: Some("mysql -phunter2".to_owned()),
            ..row(42, "mysql")
        };
        snapshot(u64::try_from(uptime.as_nanos()).unwrap(), vec![secretive])
    }

    fn with_probe(state: ProbeState) -> Snapshot {
        let mut snapshot = sample();
        snapshot.health.probes.push(ProbeHealth {
            name: "sys_exit".to_owned(),
            hook: "raw_tp/sys_exit".to_owned(),
            state,
            reason: Some("bpf() denied".to_owned()),
            runs: 0,
            run_time_ns: 0,
        });
        snapshot
    }

    async fn start(
        options: MetricsOptions,
        first: Option<Snapshot>,
        shutdown: impl Future + Send + 'static,
    ) -> (
        SocketAddr,
        watch::Sender<Option<Arc<Snapshot>>>,
        tokio::task::JoinHandle<std::io::Result<()>>,
    ) {
        let (sender, receiver) = watch::channel(first.map(Arc::new));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, router(receiver, options), shutdown));
        (address, sender, server)
    }

    /// Status code, head in lower case, body.
    async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn metrics_come_with_the_content_type_that_prometheus_wants() {
        let (address, _sender, _) = start(options(), Some(sample()), pending::<()>()).await;
        let (status, head, body) = get(address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(
            head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
            "{head}"
        );
        assert!(
            body.contains("leakwatch_processes{process=\"mysql\",container=\"\"} 1\n"),
            "{body}"
        );
        assert!(!body.contains("hunter2") && !body.contains("\nleakwatch_scrape_duration_seconds "));
        let (_, _, second) = get(address, "/metrics").await;
        assert!(
            second.contains("\nleakwatch_scrape_duration_seconds "),
            "{second}"
        );
    }

    #[tokio::test]
    async fn before_the_first_tick_it_is_alive_but_neither_ready_nor_scrapable() {
        let (address, sender, _) = start(options(), None, pending::<()>()).await;
        assert_eq!(get(address, "/healthz").await.0, 200);
        for path in ["/readyz", "/metrics", "/api/v1/snapshot"] {
            let (status, _, body) = get(address, path).await;
            assert_eq!(
                (status, body.as_str()),
                (503, "no snapshot yet: the first tick is not complete\n"),
                "{path}"
            );
        }
        sender.send_replace(Some(Arc::new(with_probe(ProbeState::Attached))));
        assert_eq!(get(address, "/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn ready_means_that_the_required_probes_do_their_work() {
        let (address, sender, _) = start(options(), Some(sample()), pending::<()>()).await;
        let readiness = async |snapshot| {
            sender.send_replace(Some(Arc::new(snapshot)));
            let (status, _, body) = get(address, "/readyz").await;
            (status, body)
        };
        assert_eq!(
            readiness(sample()).await,
            (503, "probe sys_exit is not loaded\n".to_owned())
        );
        let (status, body) = readiness(with_probe(ProbeState::Failed)).await;
        assert_eq!(
            (status, body.as_str()),
            (
                503,
                "probe sys_exit is not attached to raw_tp/sys_exit: bpf() denied\n"
            )
        );
        assert_eq!(readiness(with_probe(ProbeState::Fallback)).await.0, 200);
        assert_eq!(readiness(with_probe(ProbeState::Attached)).await.0, 200);
    }

    #[tokio::test]
    async fn a_sampling_loop_that_ended_or_hangs_is_not_healthy() {
        let mut old = sample();
        let (address, sender, _) = start(options(), Some(old.clone()), pending::<()>()).await;
        assert_eq!(get(address, "/healthz").await.0, 200);
        old.uptime_ns = old.uptime_ns.saturating_sub(11_000_000_000);
        sender.send_replace(Some(Arc::new(old)));
        let (status, _, body) = get(address, "/healthz").await;
        assert!(status == 503 && body.contains("hangs"), "{status} {body}");
        sender.send_replace(Some(Arc::new(sample())));
        drop(sender);
        assert_eq!(get(address, "/healthz").await.2, "the sampling loop has ended\n");
    }

    #[tokio::test]
    async fn the_snapshot_with_its_command_lines_is_served_only_where_allowed() {
        let expected = sample();
        let (address, _sender, _) = start(options(), Some(expected.clone()), pending::<()>()).await;
        let (status, head, body) = get(address, "/api/v1/snapshot").await;
        assert!(
            status == 200 && head.contains("content-type: application/json"),
            "{head}"
        );
        assert_eq!(serde_json::from_str::<Snapshot>(&body).unwrap(), expected);
        assert!(get(address, "/").await.2.contains("/api/v1/snapshot"));

        let exposed = MetricsOptions {
            snapshot_api: false,
            ..options()
        };
        let (address, _sender, _) = start(exposed, Some(expected), pending::<()>()).await;
        let (status, _, body) = get(address, "/api/v1/snapshot").await;
        assert!(status == 403 && !body.contains("hunter2"), "{status} {body}");
        let (status, head, landing) = get(address, "/").await;
        assert!(
            status == 200 && head.contains("content-type: text/html"),
            "{head}"
        );
        assert!(landing.contains("/metrics") && landing.contains(env!("CARGO_PKG_VERSION")));
        assert!(!landing.contains("/api/v1/snapshot"));
    }

    #[tokio::test]
    async fn a_fifth_request_at_the_same_time_is_refused() {
        let (_sender, snapshots) = watch::channel(Some(Arc::new(sample())));
        let app = Arc::new(App {
            snapshots,
            options: options(),
            scrapes: std::sync::Mutex::new(super::Scrapes::new(500)),
            permits: tokio::sync::Semaphore::new(MAX_PARALLEL),
        });
        let scrape = || Arc::clone(&app).render("text/plain", App::exposition);
        let held = app
            .permits
            .try_acquire_many(u32::try_from(MAX_PARALLEL).unwrap())
            .unwrap();
        assert_eq!(scrape().await.unwrap_err().0, 503);
        drop(held);
        assert_eq!(scrape().await.unwrap().status(), 200);
        assert_eq!(app.permits.available_permits(), MAX_PARALLEL);
    }

    #[tokio::test]
    async fn shutdown_ends_in_time_although_a_client_stays() {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, _sender, server) = start(options(), Some(sample()), stopped).await;
        let mut lingering = TcpStream::connect(address).await.unwrap();
        lingering.write_all(b"GET /metrics HTT").await.unwrap();
        assert_eq!(get(address, "/healthz").await.0, 200);
        let begin = Instant::now();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
