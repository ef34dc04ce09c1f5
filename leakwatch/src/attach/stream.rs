//! A connection on which nothing takes longer than it may.

use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

/// A socket of any family. Fails with [`io::ErrorKind::TimedOut`] from a moment on, however slowly the other side trickles.
pub(super) struct Stream<S> {
    inner: S,
    until: Instant,
}

impl<S: AsFd> Stream<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        let until = Instant::now() + patience;
        Self { inner, until }
    }

    /// From now on for so long.
    pub(super) fn allow(&mut self, patience: Duration) {
        self.allow_until(Instant::now() + patience);
    }

    /// Until then.
    pub(super) fn allow_until(&mut self, until: Instant) {
        self.until = until;
    }

    fn remaining(&self) -> io::Result<Duration> {
        let remaining = self.until.checked_duration_since(Instant::now());
        remaining
            .filter(|remaining| !remaining.is_zero())
            .ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsFd + Read> Read for Stream<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        set_socket_timeout(&self.inner, Timeout::Recv, Some(self.remaining()?))?;
        self.inner.read(into).map_err(timed_out)
    }
}

impl<S: AsFd + Write> Write for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        set_socket_timeout(&self.inner, Timeout::Send, Some(self.remaining()?))?;
        self.inner.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What a socket's timeout says otherwise (socket(7), `SO_RCVTIMEO` and `SO_SNDTIMEO`).
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread,
        time::{Duration, Instant},
    };

    use super::Stream;

    #[test]
    fn who_trickles_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let trickle = thread::spawn(move || {
            while other.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        });
        let began = Instant::now();
        let mut stream = Stream::new(connected, Duration::from_millis(50));
        let error = stream.read_to_end(&mut Vec::new()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(stream);
        trickle.join().unwrap();
    }
}
