//! The diagnostics server of one process, and a tracing session of it.

use std::{os::unix::net::UnixStream, time::Instant};

use super::{
    incoming::Incoming,
    ipc::{self, Command, Wanted},
};
use crate::attach::{Refused, process::Process, stream::Stream};

/// Sockets of that name that are tried: some may be left of processes that had the same pid.
const MAX_SOCKETS: usize = 16;
/// Where sockets are unless the environment says otherwise.
const DIRECTORY: &str = "/tmp";

/// A server that listens.
pub(super) struct Server {
    process: Process,
    socket: String,
}

impl Server {
    pub(super) fn find(process: Process) -> Result<Self, Refused> {
        let directory = process.variable("TMPDIR")?.unwrap_or_default();
        let directory = Some(directory.trim_end_matches('/')).filter(|path| path.starts_with('/'));
        let directory = directory.unwrap_or(DIRECTORY);
        let begins = format!("dotnet-diagnostic-{}-", process.pid_inside());
        let names = process.names(directory)?.into_iter();
        let sockets = names.filter(|name| name.starts_with(&begins) && name.ends_with("-socket"));
        let mut sockets = sockets
            .map(|name| format!("{directory}/{name}"))
            .take(MAX_SOCKETS);
        match sockets.find(|socket| process.connect(socket).is_ok()) {
            Some(socket) => Ok(Self { process, socket }),
            None => Err(Refused::Declined(format!(
                "it listens on no {begins}*-socket in its {directory}: it may run with DOTNET_EnableDiagnostics=0, \
                 or be older than .NET Core 3.0"
            ))),
        }
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Begins a session, and what it sends, which is read until then at the latest.
    pub(super) fn trace(&self, wanted: Wanted, until: Instant) -> Result<(Session<'_>, Incoming), Refused> {
        let begin = |command| {
            let mut stream = self.send(command)?;
            let session = Session {
                server: self,
                number: ipc::answer(&mut stream)?,
                stopped: None,
            };
            Ok((session, Incoming::new(stream, until)))
        };
        match begin(Command::CollectWithoutMethods(wanted)) {
            // .NET Core 3.0 does not know it.
            Err(Refused::Declined(_)) => begin(Command::Collect(wanted)),
            begun => begun,
        }
    }

    fn send(&self, command: Command) -> Result<Stream<UnixStream>, Refused> {
        let mut stream = self.process.connect(&self.socket)?;
        ipc::send(&mut stream, command)?;
        Ok(stream)
    }
}

/// A session; when this is dropped, it was asked to end.
pub(super) struct Session<'a> {
    server: &'a Server,
    number: u64,
    /// Where the answer to that comes.
    stopped: Option<Stream<UnixStream>>,
}

impl Session<'_> {
    /// Asks for its end. The process answers when what is left of the stream was read.
    pub(super) fn stop(&mut self) -> Result<(), Refused> {
        if self.stopped.is_none() {
            self.stopped = Some(self.server.send(Command::Stop(self.number))?);
        }
        Ok(())
    }

    /// Waits for the answer, so that it is not told to nobody.
    pub(super) fn end(mut self) -> Result<(), Refused> {
        match &mut self.stopped {
            Some(stream) => ipc::answer(stream).map(drop),
            None => Err(Refused::Answer("its session ended by itself")),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // A process that is gone has no session.
        let _ = self.stop();
    }
}
