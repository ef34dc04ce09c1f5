//! The process that is asked: who it is where it lives, and how its sockets are reached from here.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileExt as _, MetadataExt as _},
            net::UnixStream,
        },
    },
    time::Duration,
};

use rustix::{
    fs::{Dir, Mode, OFlags, openat},
    net::sockopt::socket_peercred,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{Refused, stream::Stream};
use crate::{
    model::identity::ProcessId,
    process_stat,
    recognise::{Recognised, Recogniser},
    target_file::Root,
    target_memory::TargetMemory,
};

/// An answer is waited for so long: to collect a heap of tens of gigabytes takes its time.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// Bytes of its environment that are read at the most.
const MAX_ENVIRONMENT: u64 = 1 << 20;
/// Names of one of its directories that are read at the most.
const MAX_NAMES: usize = 1 << 16;

/// A process, as it was when it was opened.
pub(super) struct Process {
    id: ProcessId,
    /// Stays that of this process, whoever gets its pid.
    pidfd: OwnedFd,
    root: Root,
    pid_inside: u32,
    recognised: Recognised,
}

impl Process {
    pub(super) fn open(id: ProcessId) -> Result<Self, Refused> {
        let pid = id.pid;
        let numbered = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(numbered.ok_or(Refused::Gone(pid))?, PidfdFlags::empty())
            .map_err(|error| call(format!("pidfd_open {pid}"), error))?;
        let root = Root::of_process(pid).map_err(|error| call(format!("open /proc/{pid}/root"), error))?;
        let maps = read(id, "maps")?;
        let pid_inside = process_stat::innermost_pid(&read(id, "status")?);
        if !process_stat::is_alive(id) {
            return Err(Refused::Gone(pid));
        }
        Ok(Self {
            id,
            pidfd,
            root,
            pid_inside: pid_inside.unwrap_or(pid),
            recognised: Recogniser::default().process(pid, &maps),
        })
    }

    pub(super) fn id(&self) -> ProcessId {
        self.id
    }

    /// Its pid as it sees it itself, in its own PID namespace.
    pub(super) fn pid_inside(&self) -> u32 {
        self.pid_inside
    }

    pub(super) fn recognised(&self) -> &Recognised {
        &self.recognised
    }

    /// Its file system.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Its effective user.
    pub(super) fn user(&self) -> Result<u32, Refused> {
        let path = format!("/proc/{}", self.id.pid);
        let metadata = fs::metadata(&path).map_err(|error| call(format!("stat {path}"), error))?;
        Ok(metadata.uid())
    }

    /// Sends a signal that it handles; one that it does not handle would end it, and is not sent.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Refused> {
        let status = read(self.id, "status")?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let number = signal.as_raw();
        if caught.is_none_or(|caught| caught >> (number - 1) & 1 == 0) {
            return Err(Refused::Declined(format!(
                "it does not handle signal {number}, which would end it: it was started to ignore those who ask"
            )));
        }
        pidfd_send_signal(&self.pidfd, signal)
            .map_err(|error| call(format!("pidfd_send_signal {} {number}", self.id.pid), error))
    }

    /// Connects to a socket of its file system that it listens on itself: anybody may put one of that name into `/tmp`.
    /// All that is said there has [`PATIENCE`].
    pub(super) fn connect(&self, path: &str) -> Result<Stream<UnixStream>, Refused> {
        let connected = self.root.connect(path).and_then(|stream| {
            let peer = socket_peercred(&stream)?;
            Ok((stream, peer.pid.as_raw_pid().cast_unsigned()))
        });
        let (stream, peer) = connected.map_err(|error| call(format!("connect {path}"), error))?;
        if peer == self.id.pid {
            Ok(Stream::new(stream, PATIENCE))
        } else {
            Err(Refused::Declined(
                "another process listens in its place".to_owned(),
            ))
        }
    }

    /// What is in a directory of its file system, in no order.
    pub(super) fn names(&self, directory: &str) -> Result<Vec<String>, Refused> {
        let names = self.root.directory(directory).and_then(|directory| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let entries = Dir::new(openat(directory, c".", flags, Mode::empty())?)?.take(MAX_NAMES);
            let names =
                entries.map(|entry| Ok(String::from_utf8_lossy(entry?.file_name().to_bytes()).into()));
            names.collect()
        });
        names.map_err(|error| call(format!("read {directory}"), error))
    }

    /// A variable of the environment that it was started with.
    pub(super) fn variable(&self, name: &str) -> Result<Option<String>, Refused> {
        let path = format!("/proc/{}/environ", self.id.pid);
        let mut environment = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(&mut environment))
            .map_err(|error| call(format!("read {path}"), error))?;
        Ok(value(&environment, name))
    }

    /// Its memory.
    pub(super) fn memory(&self) -> Result<Memory, Refused> {
        let path = format!("/proc/{}/mem", self.id.pid);
        let memory = File::open(&path).map_err(|error| call(format!("open {path}"), error))?;
        Ok(Memory(memory))
    }
}

/// Memory of a process, of no other one that gets its pid.
pub(super) struct Memory(File);

impl TargetMemory for Memory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, address)
    }
}

/// A call that failed.
pub(super) fn call(call: String, error: impl Into<io::Error>) -> Refused {
    let error = error.into();
    Refused::Call { call, error }
}

fn read(id: ProcessId, file: &str) -> Result<String, Refused> {
    let path = format!("/proc/{}/{file}", id.pid);
    let bytes = fs::read(&path).map_err(|error| call(format!("read {path}"), error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of a variable (proc_pid_environ(5)).
fn value(environment: &[u8], name: &str) -> Option<String> {
    let mut variables = environment.split(|&byte| byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, process::Command};

    use rustix::process::Signal;

    use super::{Process, value};
    use crate::{attach::Refused, process_stat, target_memory::TargetMemory as _};

    #[test]
    fn a_variable_is_told_from_one_that_begins_like_it() {
        let environment = b"TMPDIR_OLD=/a\0TMPDIR=/b=c\0TMPDIR=/d\0";
        assert_eq!(value(environment, "TMPDIR").as_deref(), Some("/b=c"));
        assert_eq!(value(environment, "TMP"), None);
    }

    #[test]
    fn what_is_its_own_can_be_read() {
        let own = Process::open(process_stat::own()).unwrap();
        assert!(own.names("/proc").unwrap().contains(&"self".to_owned()));
        let word = 0x4c65_616b_u64;
        let mut memory = own.memory().unwrap();
        assert_eq!(memory.word(&raw const word as u64).unwrap(), word);
        assert!(memory.word(u64::MAX - 8).is_err() && memory.word(8).is_err());
    }

    #[test]
    fn who_listens_in_the_place_of_another_is_not_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let path = path.to_str().unwrap();
        let own = Process::open(process_stat::own()).unwrap();
        assert!(own.connect(path).is_ok());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let other = Process::open(process_stat::of(child.id()).unwrap()).unwrap();
        assert!(matches!(other.connect(path), Err(Refused::Declined(_))));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_signal_that_would_end_it_is_not_sent() {
        let own = Process::open(process_stat::own()).unwrap();
        assert_eq!(own.pid_inside(), std::process::id());
        assert!(matches!(own.signal(Signal::USR2), Err(Refused::Declined(_))));
    }
}
