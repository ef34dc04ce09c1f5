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
}

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
            return Sight {
                // Neither bound nor connected, or no longer: not so much as a peer.
                mark: (self.is_complete && is_internet(descriptor)).then(|| "no address".to_owned()),
                ..Sight::default()
            };
        };
        Sight {
            mark: socket.mark.clone(),
            is_traceless: socket.has_queues_only && waiters.on(descriptor.fd),
            peer_closed: socket.peer_closed,
            ..Sight::default()
        }
    }
}

/// net/socket.c names the protocol of every socket in an attribute of its file.
fn is_internet(descriptor: &Descriptor) -> bool {
    let mut name = [0; 32];
    let length = rustix::fs::getxattr(descriptor.path(), "system.sockprotoname", &mut name);
    let name = length
        .ok()
        .and_then(|length| name.get(..length))
        .unwrap_or_default();
    [&b"TCP\0"[..], b"TCPv6\0", b"UDP\0", b"UDPv6\0"].contains(&name)
}

fn tcp(socket: &InetResponse) -> Socket {
    let state = socket.header.state;
    let bytes = socket.nlas.iter().find_map(|attribute| match attribute {
        InetAttribute::TcpInfo(info) => bytes_moved(info),
        _ => None,
    });
    Socket {
        // Of one that listens, what is accepted shows elsewhere.
        mark: bytes
            .filter(|_| state != TCP_LISTEN)
            .map(|(acknowledged, received)| format!("{state} {acknowledged} {received}")),
        has_queues_only: false,
        peer_closed: state == TCP_CLOSE_WAIT,
    }
}

/// `tcpi_bytes_acked` and `tcpi_bytes_received` (include/uapi/linux/tcp.h, since Linux 4.1): payload, so keep-alive probes do
/// not count.
fn bytes_moved(info: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    Some((number(120)?, number(128)?))
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
    }
}
