//! Signals that end a check early, or that are meant for the command.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// Who asks for something.
pub(super) struct Signals {
    term: unix::Signal,
    int: unix::Signal,
    hup: unix::Signal,
    /// Those that a command may have a use for; without one they do what they always do.
    command: Option<[unix::Signal; 3]>,
}

impl Signals {
    pub(super) fn new(for_command: bool) -> io::Result<Self> {
        let command = || {
            Ok::<_, io::Error>([
                signal(SignalKind::quit())?,
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ])
        };
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            command: for_command.then(command).transpose()?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        let Some([quit, first, second]) = &mut self.command else {
            return tokio::select! {
                _ = self.term.recv() => Signal::TERM,
                _ = self.int.recv() => Signal::INT,
                _ = self.hup.recv() => Signal::HUP,
            };
        };
        tokio::select! {
            _ = self.term.recv() => Signal::TERM,
            _ = self.int.recv() => Signal::INT,
            _ = self.hup.recv() => Signal::HUP,
            _ = quit.recv() => Signal::QUIT,
            _ = first.recv() => Signal::USR1,
            _ = second.recv() => Signal::USR2,
        }
    }
}
