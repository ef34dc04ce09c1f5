//! Takes a known number of things in known ways, says so, and holds them until its standard input ends: what leakwatch
//! must attribute, and what it must say that it cannot.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Write, pipe},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

const FILES: usize = 50;
const FILES_CLOSED: usize = 10;
const SOCKET_PAIRS: usize = 30;
const PIPES: usize = 20;
const RECEIVED: usize = 5;
const THREADS: usize = 7;

fn main() -> Result<()> {
    let inherited = std::fs::read_dir("/proc/self/fd")?.count() - 1;
    let mut files: Vec<File> = (0..FILES)
        .map(|_| File::open("/dev/null"))
        .collect::<io::Result<_>>()?;
    files.truncate(FILES - FILES_CLOSED);
    let sockets: Vec<_> = (0..SOCKET_PAIRS)
        .map(|_| UnixStream::pair())
        .collect::<io::Result<_>>()?;
    let pipes: Vec<_> = (0..PIPES).map(|_| pipe()).collect::<io::Result<_>>()?;
    let (sender, receiver) = sockets.first().context("no sockets")?;
    let passed: Vec<OwnedFd> = (0..RECEIVED)
        .map(|_| pass(sender, receiver, &files[0]))
        .collect::<Result<_>>()?;
    for _ in 0..THREADS {
        thread::spawn(thread::park);
    }

    let ledger = serde_json::json!({
        "live": {
            "file": files.len(),
            "socket": 2 * sockets.len(),
            "pipe": 2 * pipes.len(),
            "thread": THREADS,
        },
        "born": { "file": FILES, "socket": 2 * SOCKET_PAIRS, "pipe": 2 * PIPES, "thread": THREADS },
        "unattributed_fds": inherited + passed.len(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{ledger}")?;
    stdout.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Sends a descriptor over a socket pair and receives it: no system call returns its number.
fn pass(sender: &UnixStream, receiver: &UnixStream, file: &File) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [file.as_fd()];
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&fds)),
        "no room for a descriptor"
    );
    sendmsg(sender, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        receiver,
        &mut [IoSliceMut::new(&mut [0])],
        &mut control,
        RecvFlags::empty(),
    )?;
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.next()
        .and_then(|mut fds| fds.next())
        .context("no descriptor came")
}
