//! HTTP load.

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ureq::Agent;

/// Concurrent clients.
const CLIENTS: u32 = 8;

/// Between two requests of one client: bounds the rate at 8 x 500 a second.
const PAUSE: Duration = Duration::from_millis(2);

/// Requests `address` for `duration` from several clients, half of which make a new connection for every request.
/// Returns the number of answers.
pub fn load(address: SocketAddr, duration: Duration) -> Result<u64> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| thread::spawn(move || run_client(address, duration, client % 2 == 0)))
        .collect();
    let mut answers = 0;
    for client in clients {
        answers += client.join().ok().context("a client panicked")??;
    }
    ensure!(
        answers > 100,
        "only {answers} answers in {duration:?}: that is no load"
    );
    Ok(answers)
}

fn run_client(address: SocketAddr, duration: Duration, keep_alive: bool) -> Result<u64> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(20)))
        .max_idle_connections(usize::from(keep_alive))
        .build()
        .into();
    let deadline = Instant::now() + duration;
    let mut answers = 0;
    while Instant::now() < deadline {
        let url = format!("http://{address}/{answers}");
        agent
            .get(&url)
            .call()
            .with_context(|| url)?
            .into_body()
            .read_to_vec()?;
        answers += 1;
        thread::sleep(PAUSE);
    }
    Ok(answers)
}

/// Connections that stay open and say nothing, so that a server at rest still holds something.
pub fn idle_connections(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    (0..count)
        .map(|_| TcpStream::connect(address).context("connect"))
        .collect()
}
