//! A server under load that keeps one connection in a hundred: the listener's `accept` comes first, though other functions
//! make and close a hundred times as many sockets.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::SiteRow;
use leakwatch_tests::{
    agent::Agent,
    binary,
    load::{connections::Load, leaky},
    sites,
};
use rustix::process::Signal;

/// Connections a second.
const RATE: u32 = 1_500;
/// Fewer are no load.
const LEAST: f64 = 1_000.0;

/// By when the answer must be right.
const DEADLINE: Duration = Duration::from_mins(1);
/// How long it must stay right.
const STEADY: Duration = Duration::from_secs(10);

/// In the stack of every connection that the HTTP server accepted, and in no other.
const ACCEPTS: &str = "net/http.(*Server).Serve";

#[test]
fn accept_is_blamed_for_connections_that_are_never_closed() -> Result<()> {
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let Some(server) = leaky::start()? else {
        return Ok(());
    };
    let pid = server.pids()?.first().copied().context("no server")?;
    let load = Load::start(server.address(), RATE, 2 * DEADLINE);
    let started = Instant::now();
    let mut right_since = None;
    let mut last = String::new();
    let steady = sites::wait_for(DEADLINE, || {
        let snapshot = agent.snapshot_of(pid)?;
        let row = sites::row(&snapshot, pid).context("the server is not in the snapshot")?;
        last = sites::describe(row, "socket");
        let top = sites::by_function(row, "socket");
        let site = top.first().and_then(|blamed| blamed.sites.first());
        let Some(site) = site.filter(|site| accepts(site)) else {
            right_since = None;
            return Ok(None);
        };
        let since = *right_since.get_or_insert_with(Instant::now);
        Ok((since.elapsed() >= STEADY).then(|| ((*site).clone(), since)))
    })?;
    let rate = load.stop()?;
    println!("{rate:.0} connections a second\n{last}");
    let (site, since) = steady.context("the accepting stack does not come first")?;
    println!("right after {:?}", since - started);
    ensure!(rate >= LEAST, "{rate:.0} connections a second are no load");
    let client = format!("{}:", server.address().ip());
    ensure!(
        site.examples.iter().any(|example| example.contains(&client)),
        "no example names a client at {client}: {:?}",
        site.examples
    );
    drop(server);
    agent.stop(Signal::TERM)
}

fn accepts(site: &SiteRow) -> bool {
    let mut functions = site.frames.iter().map(|frame| frame.function.as_deref());
    functions.any(|function| function == Some(ACCEPTS))
}
