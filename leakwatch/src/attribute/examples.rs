//! What one descriptor or thread of a process is, in a few words.

use std::{collections::HashMap, fmt::Write as _, fs, net::IpAddr, os::unix::ffi::OsStrExt as _};

use crate::model::sanitize;

/// Longest description, characters; the end of a path says most.
const MAX_LEN: usize = 80;

/// The sockets of one network namespace by inode: protocol and peer, as far as one was asked for.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    by_inode: HashMap<u64, String>,
}

impl Sockets {
    /// Reads the tables of the namespace that `pid` is in.
    pub(super) fn read(pid: u32) -> Self {
        let mut sockets = Self::default();
        for protocol in ["tcp", "tcp6", "udp", "udp6"] {
            if let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")) {
                sockets.add(protocol.trim_end_matches('6'), &table);
            }
        }
        sockets
    }

    /// Lines of /proc/net/tcp: `sl local_address rem_address st ... inode` (net/ipv4/tcp_ipv4.c, tcp4_seq_show).
    fn add(&mut self, protocol: &str, table: &str) {
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(peer), Some(state), Some(inode)) =
                (fields.get(1), fields.get(2), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let (Some(local), Some(peer), Ok(inode)) = (address(local), address(peer), inode.parse()) else {
                continue;
            };
            let description = if peer.1 == 0 {
                format!("{protocol} {} {}", shown(local), state_name(state))
            } else {
                format!(
                    "{protocol} {} -> {} {}",
                    shown(local),
                    shown(peer),
                    state_name(state)
                )
            };
            self.by_inode.insert(inode, description.trim_end().to_owned());
        }
    }
}

fn shown((address, port): (IpAddr, u16)) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => format!("{address}:{port}"),
            None => format!("[{address}]:{port}"),
        },
    }
}

/// The address is in the host's byte order, word by word; the port is not.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address.as_bytes().chunks_exact(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some((address, port))
}

/// include/net/tcp_states.h, named as `ss` does.
fn state_name(hexadecimal: &str) -> &'static str {
    match hexadecimal {
        "01" => "ESTAB",
        "02" => "SYN-SENT",
        "03" => "SYN-RECV",
        "04" => "FIN-WAIT-1",
        "05" => "FIN-WAIT-2",
        "06" => "TIME-WAIT",
        "08" => "CLOSE-WAIT",
        "09" => "LAST-ACK",
        "0A" => "LISTEN",
        "0B" => "CLOSING",
        // Closed, or a protocol without states.
        _ => "",
    }
}

/// What descriptor `fd` of a process refers to; `None` when it is closed.
pub(super) fn descriptor(pid: u32, fd: u64, sockets: &Sockets) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    let link = link.as_os_str().as_bytes();
    let inode = link
        .strip_prefix(b"socket:[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    let inode = inode.and_then(|inode| std::str::from_utf8(inode).ok()?.parse::<u64>().ok());
    if let Some(socket) = inode.and_then(|inode| sockets.by_inode.get(&inode)) {
        return Some(format!("{fd}: {socket}"));
    }
    Some(format!("{fd}: {}", cut(&sanitize::text(link))))
}

/// A thread's id and name; `None` when it has ended.
pub(super) fn thread(pid: u32, tid: u64) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    Some(format!("{tid}: {}", sanitize::text(name)))
}

fn cut(text: &str) -> String {
    let len = text.chars().count();
    if len <= MAX_LEN {
        return text.to_owned();
    }
    let mut end = String::from("…");
    let tail = text.chars().skip(len - MAX_LEN + 1);
    // Writing to a String does not fail.
    let _ = write!(end, "{}", tail.collect::<String>());
    end
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_connection_is_shown_with_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let sockets = Sockets::read(std::process::id());
        let of = |fd: i32| descriptor(std::process::id(), u64::try_from(fd).unwrap(), &sockets).unwrap();
        let shown = of(stream.as_raw_fd());
        assert!(shown.ends_with(&format!("-> 127.0.0.1:{port} ESTAB")), "{shown}");
        let shown = of(listener.as_raw_fd());
        assert!(
            shown.ends_with(&format!("tcp 127.0.0.1:{port} LISTEN")),
            "{shown}"
        );
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(
            address("0100007F:1F90").map(shown).as_deref(),
            Some("127.0.0.1:8080")
        );
        assert_eq!(
            address("00000000000000000000000001000000:0016")
                .map(shown)
                .as_deref(),
            Some("[::1]:22")
        );
        for bad in ["", ":", "0100007F", "zz00007F:1", "01:0", "0100007F0100007F:1"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn paths_and_names_are_safe_and_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}\u{1b}[2J", "x".repeat(200)));
        let file = fs::File::create(&path).unwrap();
        let fd = u64::try_from(file.as_raw_fd()).unwrap();
        let shown = descriptor(std::process::id(), fd, &Sockets::default()).unwrap();
        assert!(!shown.contains('\u{1b}') && shown.ends_with("[2J"), "{shown}");
        assert!(shown.chars().count() < MAX_LEN + 10);
        assert_eq!(descriptor(std::process::id(), 999_999, &Sockets::default()), None);
        let pid = std::process::id();
        assert!(thread(pid, u64::from(pid)).is_some());
    }
}
