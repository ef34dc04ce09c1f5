//! HotSpot's attach listener: a socket that a JVM opens when it is asked to, for `jcmd` and the like.
//!
//! Asked by a file `.attach_pid<pid>` in its `/tmp` and by SIGQUIT, the JVM starts the listener, which stays
//! (src/hotspot/os/posix/attachListener_posix.cpp). A request is a version, a command and three arguments, each ended by
//! 0; an answer is a line with a number, 0 if all is well, and text.

use std::{
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, fchown, openat, unlinkat},
    process::{Signal, Uid},
};

use super::{
    Adapter, Conversation, Refused,
    process::{Process, call},
    stream::Stream,
};
use crate::{
    hotspot::class_name::java_name,
    model::{
        census::{CensusRow, Counted, Heap, RuntimeView},
        runtime,
    },
};

/// No JVM that handles signals takes longer to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
/// Bytes of an answer that are read at the most: a class takes a line of about a hundred.
const MAX_ANSWER: u64 = 64 << 20;
/// `jmap -histo:live`: objects that can still be reached, by class.
const REQUEST: &[u8] = b"1\0inspectheap\0-live\0\0\0";

/// By the class histogram of what can be reached.
pub(super) struct AttachListener;

impl Adapter for AttachListener {
    fn runtime(&self) -> &'static str {
        runtime::JAVA
    }

    fn acts(&self) -> &'static str {
        "collects its whole heap, now and again at the end, and stands still meanwhile; its thread \"Attach Listener\" stays"
    }

    fn attach(&self, process: Process) -> Result<Box<dyn Conversation>, Refused> {
        let histogram = Histogram { process };
        if histogram.connect().is_err() {
            histogram.wake()?;
        }
        Ok(Box::new(histogram))
    }
}

struct Histogram {
    process: Process,
}

impl Histogram {
    fn connect(&self) -> Result<Stream<UnixStream>, Refused> {
        let pid = self.process.pid_inside();
        self.process.connect(&format!("/tmp/.java_pid{pid}"))
    }

    /// Makes it listen.
    fn wake(&self) -> Result<(), Refused> {
        let _request = Request::put(&self.process)?;
        self.process.signal(Signal::QUIT)?;
        let began = Instant::now();
        while let Err(error) = self.connect() {
            if began.elapsed() > LISTENS_WITHIN {
                return Err(Refused::Declined(format!(
                    "it does not listen ({error}): it may run with -XX:+DisableAttachMechanism, or stand still"
                )));
            }
            sleep(STEP);
        }
        Ok(())
    }
}

impl Conversation for Histogram {
    fn ask(&mut self) -> Result<RuntimeView, Refused> {
        let mut stream = self.connect()?;
        let mut answer = String::new();
        let read = stream
            .write_all(REQUEST)
            .and_then(|()| stream.take(MAX_ANSWER).read_to_string(&mut answer));
        read.map_err(|error| call("read from the attach listener".to_owned(), error))?;
        view(&answer)
    }
}

/// The file that a JVM takes for a request to listen; gone when this is dropped.
struct Request {
    directory: OwnedFd,
    name: String,
}

impl Request {
    fn put(process: &Process) -> Result<Self, Refused> {
        let name = format!(".attach_pid{}", process.pid_inside());
        let owner = Uid::from_raw(process.user()?);
        let put = || -> io::Result<Self> {
            let directory = process.root().directory("/tmp")?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR)?;
            let request = Self {
                directory,
                name: name.clone(),
            };
            // It takes no notice of anybody else's.
            fchown(file, Some(owner), None)?;
            Ok(request)
        };
        put().map_err(|error| call(format!("create /tmp/{name}"), error))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // A JVM may have taken it away itself.
        let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}

/// Reads an answer.
fn view(answer: &str) -> Result<RuntimeView, Refused> {
    let (code, text) = answer.split_once('\n').unwrap_or((answer, ""));
    match code.trim() {
        "0" => {}
        "" => {
            return Err(Refused::Declined(
                "it closes the connection: a JVM before 11 answers only its own user".to_owned(),
            ));
        }
        _ => return Err(Refused::Answer("it does not know inspectheap")),
    }
    let rows: Vec<CensusRow> = text.lines().filter_map(row).collect();
    if rows.is_empty() {
        return Err(Refused::Answer("there is no class in its histogram"));
    }
    let live = rows.iter().filter_map(|row| row.bytes).sum();
    Ok(RuntimeView {
        runtime: runtime::JAVA.to_owned(),
        heap: Heap {
            live: Some(live),
            ..Heap::default()
        },
        rows,
        ..RuntimeView::default()
    })
}

/// `   1:        8123        518872  [B (java.base@17.0.9)`: rank, objects, bytes, class as the JVM spells it, and from 9 on
/// its module.
fn row(line: &str) -> Option<CensusRow> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?.parse::<u64>().ok()?;
    let (count, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = java_name(words.next()?.as_bytes())?;
    Some(CensusRow::of(Counted::Class, name, count, Some(bytes)))
}

#[cfg(test)]
mod tests {
    use super::view;
    use crate::attach::Refused;

    #[test]
    fn a_histogram_of_17() {
        let answer = "0\n num     #instances         #bytes  class name (module)\n\
                      -------------------------------------------------------\n   \
                      1:          6127         396416  [B (java.base@17.0.17)\n   \
                      2:          4000          96000  LeakS$Session\n\
                      Total         10127         492416\n";
        let view = view(answer).unwrap();
        let rows: Vec<_> = view
            .rows
            .iter()
            .map(|row| (&*row.name, row.count, row.bytes))
            .collect();
        assert_eq!(
            rows,
            [
                ("byte[]", 6127, Some(396_416)),
                ("LeakS$Session", 4000, Some(96_000))
            ]
        );
        assert_eq!(view.heap.live, Some(492_416));
    }

    #[test]
    fn what_is_no_histogram_is_no_answer() {
        for answer in [
            "0\n",
            "101\nOperation inspectheap not recognized!\n",
            "0\n1: x 7 [B\n 2: 7",
            "7",
        ] {
            assert!(matches!(view(answer), Err(Refused::Answer(_))), "{answer}");
        }
        assert!(matches!(view(""), Err(Refused::Declined(_))));
    }
}
