//! Sockets, by `sock_diag` in the network namespace of the process.

use std::collections::HashMap;

use netlink_packet_sock_diag::{
    constants::{TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN},
    inet::{InetResponse, nlas::Nla as InetAttribute},
    unix::{UnixResponse, nlas::Nla as UnixAttribute},
};

use super::{
    descriptors::Descriptor,
    look::Sight,
    sock_diag::{self, Reply},
    waiters::Waiters,
};

/// The sockets of one network namespace by inode.
#[derive(Default)]
pub(super) struct Table {
    sockets: HashMap<u64, Socket>,
    /// Whether all of them are here: then a TCP or UDP socket that is not has no address.
    is_complete: bool,
}

struct Socket {
    mark: Option<String>,
    /// All that shows is what waits in its queues: used and emptied it looks as before.
    has_queues_only: bool,
    peer_closed: bool,
    /// Milliseconds since payload moved, where the kernel keeps that.
    idle_ms: Option<u32>,
}

/// A socket whose peer has closed is only kept when nothing moved for so long, milliseconds: some still get an answer.
const ABANDONED_MS: u32 = 2_000;

impl Table {
    /// Reads those of the namespace that `pid` is in.
    pub(super) fn read(pid: u32) -> Self {
        let mut table = Self::default();
        let read = sock_diag::all(pid, &mut |reply| match reply {
            Reply::Tcp(socket) => table.add(socket.header.inode, tcp(&socket)),
            Reply::Udp(socket) => table.add(socket.header.inode, udp(&socket)),
            Reply::Unix(socket) => table.add(socket.header.inode, unix(&socket)),
        });
        table.is_complete = read.is_ok();
        if let Err(error) = read {
            log::debug!("sock_diag in the network namespace of {pid}: {error}");
        }
        table
    }

    fn add(&mut self, inode: u32, socket: Socket) {
        self.sockets.insert(inode.into(), socket);
    }

    pub(super) fn sight(&self, descriptor: &Descriptor, waiters: &Waiters) -> Sight {
        let found = self.sockets.get(&descriptor.stat.stx_ino);
        let Some(socket) = found else {
            let protocol = self.is_complete.then(|| Protocol::of(descriptor)).flatten();
            let is_over = protocol == Some(Protocol::Tcp);
            return Sight {
                // Neither bound nor connected, or no longer: not so much as a peer.
                mark: protocol.map(|_| "no address".to_owned()),
                is_over,
                is_abandoned: is_over,
                ..Sight::default()
            };
        };
        Sight {
            mark: socket.mark.clone(),
            is_traceless: socket.has_queues_only && waiters.on(descriptor.fd),
            peer_closed: socket.peer_closed,
            is_abandoned: socket.peer_closed && socket.idle_ms.is_some_and(|idle_ms| idle_ms >= ABANDONED_MS),
            ..Sight::default()
        }
    }
}

/// Those whose sockets `sock_diag` shows as long as they have an address.
#[derive(PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// net/socket.c names the protocol of every socket in an attribute of its file.
    fn of(descriptor: &Descriptor) -> Option<Self> {
        let mut name = [0; 32];
        let length = rustix::fs::getxattr(descriptor.path(), "system.sockprotoname", &mut name).ok()?;
        match name.get(..length)? {
            b"TCP\0" | b"TCPv6\0" => Some(Self::Tcp),
            b"UDP\0" | b"UDPv6\0" => Some(Self::Udp),
            _ => None,
        }
    }
}

fn tcp(socket: &InetResponse) -> Socket {
    let state = socket.header.state;
    let info = socket.nlas.iter().find_map(|attribute| match attribute {
        InetAttribute::TcpInfo(info) => Some(info.as_slice()),
        _ => None,
    });
    let bytes = info.and_then(bytes_moved);
    Socket {
        // Of one that listens, what is accepted shows elsewhere.
        mark: bytes
            .filter(|_| state != TCP_LISTEN)
            .map(|(acknowledged, received)| format!("{state} {acknowledged} {received}")),
        has_queues_only: false,
        peer_closed: state == TCP_CLOSE_WAIT,
        idle_ms: info.and_then(idle_ms),
    }
}

/// `tcpi_bytes_acked` and `tcpi_bytes_received` (include/uapi/linux/tcp.h, since Linux 4.1): payload, so keep-alive probes do
/// not count.
fn bytes_moved(info: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    Some((number(120)?, number(128)?))
}

/// The newer of `tcpi_last_data_sent` and `tcpi_last_data_recv`, which begin with the connection and do not count what has no
/// payload (net/ipv4/tcp_input.c, `tcp_event_data_recv`), so neither keep-alive probes nor the end.
fn idle_ms(info: &[u8]) -> Option<u32> {
    let number = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    Some(number(44)?.min(number(52)?))
}

fn udp(socket: &InetResponse) -> Socket {
    let header = &socket.header;
    Socket {
        mark: Some(format!(
            "{} {} {}",
            header.state, header.recv_queue, header.send_queue
        )),
        has_queues_only: true,
        peer_closed: false,
        idle_ms: None,
    }
}

fn unix(socket: &UnixResponse) -> Socket {
    let (mut peer, mut queues) = (None, (0, 0));
    for attribute in &socket.nlas {
        match attribute {
            UnixAttribute::Peer(inode) => peer = Some(*inode).filter(|&inode| inode != 0),
            UnixAttribute::ReceiveQueueLength(receive, send) => queues = (*receive, *send),
            _ => {}
        }
    }
    let state = socket.header.state;
    Socket {
        mark: (state != TCP_LISTEN).then(|| format!("{state} {queues:?} {peer:?}")),
        has_queues_only: true,
        // A connection whose other end has no file any more.
        peer_closed: state == TCP_ESTABLISHED && peer.is_none(),
        idle_ms: None,
    }
}
