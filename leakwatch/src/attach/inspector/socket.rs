//! TCP sockets of a process: on which of them it listens, and connections from inside its network namespace.

use std::{
    collections::HashSet,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    thread,
    time::Duration,
};

use procfs::{
    ProcError,
    net::TcpState,
    process::{FDTarget, Process},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    attach::{Refused, process::call},
    model::identity::ProcessId,
    process_stat,
};

/// To a port of the same host.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// A socket that somebody listens on in the network namespace of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) inode: u64,
    /// Whether the process has it among its descriptors.
    pub(super) is_own: bool,
}

/// All of them.
pub(super) fn listening(id: ProcessId) -> Result<Vec<Listening>, Refused> {
    let pid = i32::try_from(id.pid).map_err(|_| Refused::Gone(id.pid))?;
    let look = || -> Result<Vec<Listening>, ProcError> {
        let process = Process::new(pid)?;
        let own: HashSet<u64> = process
            .fd()?
            .filter_map(|descriptor| match descriptor.ok()?.target {
                FDTarget::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect();
        // Without IPv6 in the kernel there is no second table.
        let sockets = process
            .tcp()?
            .into_iter()
            .chain(process.tcp6().unwrap_or_default());
        let listening = sockets.filter(|socket| socket.state == TcpState::Listen);
        let listening = listening.map(|socket| Listening {
            address: socket.local_address,
            inode: socket.inode,
            is_own: own.contains(&socket.inode),
        });
        Ok(listening.collect())
    };
    let found = look().map_err(|error| call(format!("read /proc/{pid}/net/tcp"), io::Error::other(error)))?;
    if process_stat::is_alive(id) {
        Ok(found)
    } else {
        Err(Refused::Gone(id.pid))
    }
}

/// Connects to an address as the process itself would.
pub(super) fn connect(id: ProcessId, address: SocketAddr) -> Result<TcpStream, Refused> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let theirs = namespace(&format!("/proc/{}/ns/net", id.pid))?;
    let own = namespace("/proc/thread-self/ns/net")?;
    if !process_stat::is_alive(id) {
        return Err(Refused::Gone(id.pid));
    }
    let connected = if same(&theirs, &own).map_err(|error| call("stat /proc/PID/ns/net".to_owned(), error))? {
        TcpStream::connect_timeout(&address, CONNECTS_WITHIN)
    } else {
        // A socket stays in the namespace in which it was made, and so does a thread: this one ends with that.
        let inside = thread::spawn(move || {
            move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect_timeout(&address, CONNECTS_WITHIN)
        });
        inside
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that connects has panicked")))
    };
    connected.map_err(|error| call(format!("connect to {address} from inside its network"), error))
}

/// Where a socket that is bound to any address is reached.
fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn namespace(path: &str) -> Result<File, Refused> {
    File::open(path).map_err(|error| call(format!("open {path}"), error))
}

fn same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{connect, listening};
    use crate::process_stat;

    #[test]
    fn a_socket_of_ones_own_is_told_and_reached() {
        let id = process_stat::own();
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = listening(id).unwrap();
        let found = found.iter().find(|found| found.address == address).unwrap();
        assert!(found.is_own);
        let stream = connect(id, address).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(stream.local_addr().unwrap(), peer);
        drop(listener);
        let found = listening(id).unwrap();
        assert!(!found.iter().any(|found| found.address == address));
    }
}
