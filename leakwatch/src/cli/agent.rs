//! `leakwatch agent`: runs until asked to end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{net::TcpListener, sync::watch};

use super::{Failure, hooks::HookArgs, privileges, runtime, top};
use crate::{
    confirm::Staleness,
    kernel::{LoadOptions, catalog::PROBES},
    present::metrics::{self, DEFAULT_MAX_GROUPS, MetricsOptions, Wishes},
    sampler::Sampler,
    socket::{self, Listener, Viewers},
};

/// Runs in the background: Prometheus metrics, health, and a socket for `leakwatch top`.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentArgs {
    /// Where to answer /metrics, /healthz and /readyz. Loopback unless you say otherwise: it shows process names
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9843",
        env = "LEAKWATCH_LISTEN"
    )]
    pub listen: SocketAddr,

    /// Socket for `leakwatch top`, open to its owner only
    #[arg(long, value_name = "PATH", default_value = socket::DEFAULT_PATH, env = "LEAKWATCH_SOCKET")]
    pub socket: PathBuf,

    /// Time between two readings: 500ms, 2s, 1m30s; a bare number is seconds
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = top::interval)]
    #[arg(env = "LEAKWATCH_INTERVAL")]
    pub interval: Duration,

    /// Groups of processes that get series of their own; the rest is summed up
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_GROUPS, env = "LEAKWATCH_METRICS_MAX_GROUPS")]
    pub metrics_max_groups: usize,

    /// Keep verdicts in this file, so that they outlive a restart
    #[arg(long, value_name = "FILE", env = "LEAKWATCH_STATE")]
    pub state: Option<PathBuf>,

    /// Whom to tell
    #[command(flatten)]
    pub hooks: HookArgs,

    /// How the probes are to behave
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// Budgets of the kernel side.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ProbeArgs {
    /// Size of the ring buffer from the kernel; rounded up to a power of two of at least one page
    #[arg(long, value_name = "BYTES", default_value_t = LoadOptions::default().ring_bytes, env = "LEAKWATCH_RING_BYTES")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub ring_bytes: u32,

    /// Stacks taken per CPU and second; 0 takes none
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().stacks_per_second)]
    #[arg(env = "LEAKWATCH_STACKS_PER_SECOND")]
    pub stacks_per_second: u32,

    /// Changes of address spaces sent per CPU and second
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().changes_per_second)]
    #[arg(env = "LEAKWATCH_CHANGES_PER_SECOND")]
    pub changes_per_second: u32,
}

impl From<ProbeArgs> for LoadOptions {
    fn from(args: ProbeArgs) -> Self {
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
        Self {
            ring_bytes: args.ring_bytes.max(page).next_power_of_two(),
            stacks_per_second: args.stacks_per_second,
            changes_per_second: args.changes_per_second,
            ..Self::default()
        }
    }
}

/// A snapshot older than this, or than ten intervals, means that the agent hangs.
const STALE_AFTER: Duration = Duration::from_mins(1);

/// Runs the agent until SIGTERM, SIGINT or SIGHUP.
pub fn run(args: &AgentArgs, staleness: Staleness) -> Result<(), Failure> {
    runtime::build()?.block_on(serve(args, staleness))
}

async fn serve(args: &AgentArgs, staleness: Staleness) -> Result<(), Failure> {
    // What can be refused without privilege is tried first.
    let http = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::CannotObserve {
            what: format!("bind {}: {error}", args.listen),
            cause: (error.kind() == std::io::ErrorKind::AddrInUse)
                .then(|| "another program, or another agent, listens there".to_owned()),
            fix: Some("choose another port: leakwatch agent --listen 127.0.0.1:PORT".to_owned()),
        })?;
    let listener = Listener::bind(&args.socket).map_err(|error| Failure::CannotObserve {
        what: format!("bind {}: {error}", args.socket.display()),
        cause: None,
        fix: Some("choose another place: leakwatch agent --socket PATH".to_owned()),
    })?;
    let mut sampler = Sampler::attach(&args.probes.into(), runtime::host_name())?.with_staleness(staleness);
    if let Some(path) = &args.state {
        sampler = sampler
            .with_state_file(path)
            .map_err(|error| Failure::CannotObserve {
                what: format!("open {}: {error}", path.display()),
                cause: None,
                fix: Some("leave out --state, or choose a file that leakwatch may write".to_owned()),
            })?;
    }
    privileges::drop_unneeded();
    log::info!("probes attached; metrics on http://{}/metrics", args.listen);

    let (publish, snapshots) = watch::channel(None);
    let hook = args
        .hooks
        .hook()
        .map(|hook| tokio::spawn(hook.run(snapshots.clone())));
    let viewers = Viewers::default();
    let options = MetricsOptions {
        max_groups: args.metrics_max_groups,
        required_probes: PROBES.iter().map(|probe| probe.program.to_owned()).collect(),
        snapshot_api: args.listen.ip().is_loopback(),
        stale_after: STALE_AFTER.max(args.interval * 10),
    };
    let wishes = Wishes::default();
    let router = metrics::router(snapshots.clone(), options, wishes.clone());
    let watched = viewers.clone();
    let interest = move || {
        let mut interest = watched.interest();
        interest.merge(&wishes.interest());
        interest
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let http = tokio::spawn(metrics::serve(http, router, async {
        let _ = stopped.await;
    }));
    let outcome = tokio::select! {
        ended = sampler.run(args.interval, interest, publish) => ended.map_err(Failure::from),
        () = listener.serve(snapshots, viewers) => Ok(()),
        asked = runtime::asked_to_end() => asked.map_err(|error| Failure::because(format!("waiting for signals: {error}"))),
    };
    // The probes were detached when the sampler was dropped; requests under way are answered.
    let _ = stop.send(());
    if let Ok(Err(error)) = http.await {
        log::warn!("http: {error}");
    }
    if let Some(hook) = hook {
        // The snapshots have ended with the sampler; who is being told is told to the end.
        let _ = hook.await;
    }
    outcome
}
