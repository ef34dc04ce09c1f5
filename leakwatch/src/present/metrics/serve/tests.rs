//! Every page, asked for over a socket.

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

use super::{App, MAX_PARALLEL, MetricsOptions, Wishes, exposition::exposition, health::age, router, serve};
use crate::{
    model::{
        health::{ProbeHealth, ProbeState},
        snapshot::{ProcessRow, Snapshot},
    },
    present::{
        metrics::fixture::{row, snapshot},
        profile,
    },
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
        cmdline: Some("mysql -phunter2".into()),
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
    let server = tokio::spawn(serve(
        listener,
        router(receiver, options, Wishes::default()),
        shutdown,
    ));
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
        wishes: Wishes::default(),
        waiting: tokio::sync::Semaphore::new(1),
        permits: tokio::sync::Semaphore::new(MAX_PARALLEL),
    });
    let scrape = || Arc::clone(&app).render("text/plain", exposition);
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

/// A host with a process that holds descriptors; its sites are there when somebody wants them, their names a tick later.
fn at(tick: usize, wishes: &Wishes) -> Snapshot {
    let mut snapshot = crate::present::sample::snapshot();
    for process in &mut snapshot.processes {
        if !wishes.interest().wants_fd_kinds(process.id.pid) {
            process.sites.clear();
        }
        if tick < 2 {
            let frames = process.sites.iter_mut().flat_map(|site| &mut site.frames);
            frames.for_each(|frame| (frame.function, frame.reason) = (None, None));
        }
    }
    snapshot
}

/// The pages of an agent that ticks every 20 ms.
async fn ticking() -> (SocketAddr, Wishes) {
    let wishes = Wishes::default();
    let (sender, receiver) = watch::channel(Some(Arc::new(at(0, &wishes))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        router(receiver, options(), wishes.clone()),
        pending::<()>(),
    ));
    let wanted = wishes.clone();
    tokio::spawn(async move {
        let mut ticks_since_wish = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            ticks_since_wish = if wanted.interest().is_empty() {
                0
            } else {
                ticks_since_wish + 1
            };
            sender.send_replace(Some(Arc::new(at(ticks_since_wish, &wanted))));
        }
    });
    (address, wishes)
}

/// The body as bytes: profiles are no text.
async fn download(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head.to_lowercase(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn a_profile_waits_for_sites_and_their_names() {
    let (address, wishes) = ticking().await;
    for resource in profile::Resource::ALL {
        let path = format!("/debug/pprof/{}?pid=4711&seconds=30", resource.name());
        let (head, body) = download(address, &path).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/octet-stream"), "{head}");
        let disposition = format!(
            "attachment; filename=\"leakwatch-4711-{}.pb.gz\"",
            resource.name()
        );
        assert!(head.contains(&disposition), "{head}");
        let read = profile::read(&body).unwrap();
        let whole = profile::Profile::of(&crate::present::sample::snapshot(), &[4711].into(), resource, 0);
        assert_eq!(profile::folded::write(&read), profile::folded::write(&whole));
    }
    assert!(wishes.interest().is_empty(), "nobody waits any more");
}

#[tokio::test]
async fn a_profile_that_cannot_be_is_refused_with_advice() {
    let (address, _) = ticking().await;
    for (path, status, says) in [
        ("/debug/pprof/fd?pid=77", 404, "no process 77"),
        ("/debug/pprof/heap?pid=4711", 404, "there are memory, fd, thread"),
        ("/debug/pprof/fd", 400, "?pid=N"),
        ("/debug/pprof/fd?pid=", 400, "?pid=N"),
        ("/debug/pprof/fd?pid=-1", 400, "?pid=N"),
        ("/debug/pprof/fd?pid=4294967296", 400, "?pid=N"),
        ("/debug/pprof/fd?pid=1&pid=2", 400, "?pid=N"),
    ] {
        let (code, _, body) = get(address, path).await;
        assert!(code == status && body.contains(says), "{path}: {code} {body}");
    }
    let (address, _sender, _) = start(options(), None, pending::<()>()).await;
    assert_eq!(get(address, "/debug/pprof/fd?pid=1").await.0, 503);
}

#[tokio::test]
async fn a_sampling_loop_that_hangs_holds_up_no_profile_for_ever() {
    let impatient = MetricsOptions {
        stale_after: Duration::from_millis(50),
        ..options()
    };
    let (address, sender, _) = start(impatient, Some(sample()), pending::<()>()).await;
    let (status, _, body) = get(address, "/debug/pprof/fd?pid=42").await;
    assert!(status == 503 && body.contains("hangs"), "{status} {body}");
    drop(sender);
    assert_eq!(get(address, "/debug/pprof/fd?pid=42").await.0, 503);
}

#[tokio::test]
async fn the_index_lists_what_grows_first_and_escapes_names() {
    let hostile = crate::present::sample::hostile();
    let mut snapshot = crate::present::sample::snapshot();
    snapshot.processes[0].name = "<script>".to_owned();
    let (address, sender, _) = start(options(), Some(snapshot), pending::<()>()).await;
    for path in ["/debug/pprof/", "/debug/pprof"] {
        let (status, head, body) = get(address, path).await;
        assert!(
            status == 200 && head.contains("content-type: text/html"),
            "{head}"
        );
        let first = body.find("<tr>").unwrap();
        assert!(
            body[first..].starts_with("<tr><td>4711<td>payments<td>"),
            "{body}"
        );
        assert!(body.contains("&lt;script&gt;") && !body.contains("<script>"));
    }
    sender.send_replace(Some(Arc::new(hostile)));
    assert!(
        !get(address, "/debug/pprof/")
            .await
            .2
            .contains(['\x1b', '\x07', '\u{202e}'])
    );
}
