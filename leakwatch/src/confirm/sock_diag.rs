//! All sockets of a network namespace, by `NETLINK_SOCK_DIAG`.

use std::{fs::File, io, thread};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
    unix::{self, ShowFlags, UnixRequest, UnixResponse},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::{
    fd::AsFd as _,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// What one read takes. The kernel fills no more than 32 KiB at once (net/netlink/af_netlink.c).
const BUFFER: usize = 32 * 1024;

/// One socket.
pub(super) enum Reply {
    Tcp(Box<InetResponse>),
    Udp(Box<InetResponse>),
    Unix(Box<UnixResponse>),
}

/// Shows every TCP, UDP and Unix socket of the namespace that `pid` is in.
///
/// # Errors
/// When that namespace cannot be entered, which takes CAP_SYS_ADMIN where it is not our own, or the kernel cannot tell.
pub(super) fn all(pid: u32, show: &mut dyn FnMut(Reply)) -> io::Result<()> {
    let socket = open(pid)?;
    for family in [AF_INET, AF_INET6] {
        for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
            let request = SockDiagMessage::InetRequest(InetRequest {
                family,
                protocol,
                extensions: ExtensionFlags::INFO,
                states: StateFlags::all(),
                socket_id: if family == AF_INET {
                    SocketId::new_v4()
                } else {
                    SocketId::new_v6()
                },
            });
            dump(&socket, request, &mut |message| {
                if let SockDiagMessage::InetResponse(response) = message {
                    show(if protocol == IPPROTO_TCP {
                        Reply::Tcp(response)
                    } else {
                        Reply::Udp(response)
                    });
                }
            })?;
        }
    }
    let request = SockDiagMessage::UnixRequest(UnixRequest {
        state_flags: unix::StateFlags::all(),
        inode: 0,
        show_flags: ShowFlags::PEER | ShowFlags::RQLEN,
        cookie: [0xff; 8],
    });
    dump(&socket, request, &mut |message| {
        if let SockDiagMessage::UnixResponse(response) = message {
            show(Reply::Unix(response));
        }
    })
}

/// A netlink socket belongs to the namespace that the thread was in which made it; that thread is made for it, because no
/// other one of ours shall ever be elsewhere.
fn open(pid: u32) -> io::Result<Socket> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    if namespace(&pid.to_string())? == namespace("self")? {
        return connected();
    }
    let theirs = File::open(format!("/proc/{pid}/ns/net"))?;
    let elsewhere = thread::Builder::new()
        .name("sock_diag".to_owned())
        .spawn(move || {
            move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::Network))?;
            connected()
        })?;
    elsewhere.join().unwrap_or_else(|_| {
        Err(io::Error::other(
            "the thread that opens a netlink socket has ended",
        ))
    })
}

fn connected() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn dump(socket: &Socket, request: SockDiagMessage, show: &mut dyn FnMut(SockDiagMessage)) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        buffer.clear();
        if socket.recv(&mut buffer, 0)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            match message.payload {
                NetlinkPayload::InnerMessage(message) => show(message),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Messages begin at multiples of 4; a length of 0 is refused above.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
