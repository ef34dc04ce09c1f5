//! What a session sends: it ends in time, and is not endless.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    time::Instant,
};

use crate::attach::stream::Stream;

/// Bytes that one session may send.
const MAX_STREAM: u64 = 16 << 30;

/// Reads from a session, until then at the latest.
pub(super) struct Incoming {
    stream: Stream<UnixStream>,
    left: u64,
}

impl Incoming {
    pub(super) fn new(mut stream: Stream<UnixStream>, until: Instant) -> Self {
        stream.allow_until(until);
        Self {
            stream,
            left: MAX_STREAM,
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..room])?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read as _, Write as _},
        os::unix::net::UnixStream,
        time::{Duration, Instant},
    };

    use super::{Incoming, Stream};
    use crate::attach::process::PATIENCE;

    #[test]
    fn who_sends_nothing_is_waited_for_until_then() {
        let (mut process, stream) = UnixStream::pair().unwrap();
        let mut incoming = Incoming::new(
            Stream::new(stream, PATIENCE),
            Instant::now() + Duration::from_millis(50),
        );
        process.write_all(b"ab").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(incoming.read(&mut buffer).unwrap(), 2);
        assert!(incoming.read(&mut buffer).is_err());
        assert_eq!(
            incoming.read(&mut buffer).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
    }

    #[test]
    fn who_sends_without_end_is_not_read_to_the_end() {
        let (mut process, stream) = UnixStream::pair().unwrap();
        let mut incoming = Incoming::new(
            Stream::new(stream, PATIENCE),
            Instant::now() + Duration::from_mins(1),
        );
        incoming.left = 3;
        process.write_all(b"abcd").unwrap();
        let mut buffer = Vec::new();
        let error = incoming.read_to_end(&mut buffer).unwrap_err();
        assert_eq!((error.kind(), &*buffer), (ErrorKind::FileTooLarge, &b"abc"[..]));
    }
}
