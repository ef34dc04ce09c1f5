//! A load of short connections: one request each.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// Concurrent clients.
const CLIENTS: u32 = 8;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Clients at work until they are stopped, or `limit` is over.
pub struct Load {
    clients: Vec<JoinHandle<Result<u64>>>,
    stopped: Arc<AtomicBool>,
    started: Instant,
}

impl Load {
    /// Starts to make at most `rate` connections a second to `address`.
    pub fn start(address: SocketAddr, rate: u32, limit: Duration) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let clients = (0..CLIENTS)
            .map(|_| {
                let stopped = Arc::clone(&stopped);
                thread::spawn(move || {
                    let mut connections = 0;
                    while !stopped.load(Ordering::Relaxed) && started.elapsed() < limit {
                        request(address)?;
                        connections += 1;
                        let due = Duration::from_secs(connections) * CLIENTS / rate;
                        thread::sleep(due.saturating_sub(started.elapsed()));
                    }
                    Ok(connections)
                })
            })
            .collect();
        Self {
            clients,
            stopped,
            started,
        }
    }

    /// Stops the clients and returns how many connections they made a second.
    pub fn stop(self) -> Result<f64> {
        self.stopped.store(true, Ordering::Relaxed);
        let elapsed = self.started.elapsed();
        let mut connections = 0;
        for client in self.clients {
            connections += client.join().ok().context("a client panicked")??;
        }
        Ok(connections as f64 / elapsed.as_secs_f64())
    }
}

/// The server may keep the connection: the answer ends where it says, not where the connection does.
fn request(address: SocketAddr) -> Result<()> {
    let mut connection = TcpStream::connect(address).context("connect")?;
    connection.set_read_timeout(Some(ANSWER))?;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while !answer.ends_with(b"\r\n\r\n42") {
        let size = connection.read(&mut chunk).context("read")?;
        ensure!(
            size > 0 && answer.len() < 1 << 16,
            "not the answer: {}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&chunk[..size]);
    }
    Ok(())
}
