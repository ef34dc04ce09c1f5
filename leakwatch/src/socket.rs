//! The agent's socket: `leakwatch top` watches a running agent instead of loading probes a second time.
//!
//! A client sends its [`Interest`] as one line of JSON, and again whenever it changes; it gets every snapshot from the next
//! tick on as one line each. The socket is readable and writable by its owner only.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use log::debug;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf},
    sync::watch,
};

use crate::{
    model::{interest::Interest, snapshot::Snapshot},
    sampler::Snapshots,
};

/// Where an agent listens when it is not told otherwise.
pub const DEFAULT_PATH: &str = "/run/leakwatch/leakwatch.sock";

/// Viewers at the same time; further ones are turned away, so that they cannot use up the agent's descriptors.
const MAX_VIEWERS: usize = 16;

/// Longest line a client may send, bytes.
const MAX_REQUEST: usize = 64 * 1024;

/// What all viewers want to see.
#[derive(Clone, Debug, Default)]
pub struct Viewers {
    interests: Arc<Mutex<HashMap<u64, Interest>>>,
}

impl Viewers {
    /// Everybody's interest.
    pub fn interest(&self) -> Interest {
        let mut all = Interest::default();
        for interest in self.lock().values() {
            all.merge(interest);
        }
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Interest>> {
        // A panic while the lock was held leaves a map that is still a map.
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the socket file when the agent ends.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Listens at `path`. What a dead agent left there is replaced; a living one is an error.
    ///
    /// # Errors
    /// `AddrInUse` when another agent listens there, or what the file system says.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another agent listens there",
            ));
        }
        if fs::symlink_metadata(path).is_ok() {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let listener = Self {
            listener,
            path: path.to_owned(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Serves viewers until the future is dropped.
    pub async fn serve(self, snapshots: Snapshots, viewers: Viewers) {
        let mut next = 0;
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if viewers.lock().len() < MAX_VIEWERS => {
                    next += 1;
                    let viewer = Viewer {
                        number: next,
                        viewers: viewers.clone(),
                    };
                    tokio::spawn(viewer.serve(stream, snapshots.clone()));
                }
                Ok(_) => debug!("a viewer was turned away: {MAX_VIEWERS} are there"),
                Err(error) => {
                    debug!("accept on the agent's socket: {error}");
                    // Out of descriptors: waiting for some to be closed beats spinning.
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
}

struct Viewer {
    number: u64,
    viewers: Viewers,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.viewers.lock().remove(&self.number);
    }
}

impl Viewer {
    async fn serve(self, stream: UnixStream, mut snapshots: Snapshots) {
        self.viewers.lock().insert(self.number, Interest::default());
        let (read, mut write) = stream.into_split();
        let mut requests = BufReader::new(read);
        let mut line = Vec::new();
        let mut asked = false;
        loop {
            tokio::select! {
                more = request(&mut requests, &mut line) => match more {
                    Some(interest) => {
                        self.viewers.lock().insert(self.number, interest);
                        line.clear();
                        // What is known by now was read before anybody asked; the next tick knows the interest.
                        snapshots.mark_unchanged();
                        asked = true;
                    }
                    None => return,
                },
                changed = snapshots.changed(), if asked => {
                    let Some(snapshot) = snapshots.borrow_and_update().clone() else { continue };
                    if changed.is_err() || send(&mut write, &snapshot).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

async fn send(to: &mut (impl tokio::io::AsyncWrite + Unpin), snapshot: &Snapshot) -> io::Result<()> {
    let mut line = serde_json::to_vec(snapshot)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// The next interest; `None` when the client is gone or talks nonsense. Keeps what it read so far in `line` when dropped.
async fn request(from: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Option<Interest> {
    loop {
        let available = from
            .fill_buf()
            .await
            .ok()
            .filter(|available| !available.is_empty())?;
        let end = available.iter().position(|&byte| byte == b'\n');
        let take = end.map_or(available.len(), |end| end + 1);
        line.extend_from_slice(&available[..take]);
        from.consume(take);
        if line.len() > MAX_REQUEST {
            return None;
        }
        if end.is_some() {
            return serde_json::from_slice(line).ok();
        }
    }
}

/// Watches a running agent: publishes its snapshots until it ends or the future is dropped.
///
/// # Errors
/// When the connection breaks, or the agent is of a version that says things this one does not understand.
pub async fn watch(
    stream: UnixStream,
    mut interest: watch::Receiver<Interest>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut asked = true;
    loop {
        if std::mem::take(&mut asked) {
            let mut line = serde_json::to_vec(&*interest.borrow_and_update())?;
            line.push(b'\n');
            write.write_all(&line).await?;
        }
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the agent ended"));
                };
                let snapshot: Snapshot = serde_json::from_str(&line).map_err(|error| {
                    let message = format!("the agent is of another version: {error}");
                    io::Error::new(io::ErrorKind::InvalidData, message)
                })?;
                snapshots.send_replace(Some(Arc::new(snapshot)));
            }
            changed = interest.changed() => match changed {
                Ok(()) => asked = true,
                // Nobody watches any more.
                Err(_) => return Ok(()),
            },
        }
    }
}
