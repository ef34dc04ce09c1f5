//! Against this kernel: things that are used between two looks, and things that are not.

mod fuse;

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd as _, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::Command,
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use leakwatch_common::kind::Kind;
use memmap2::{Advice, MmapMut};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

use super::*;
use crate::process_stat;

const START_NS: u64 = 1_000 * SECOND_NS;

fn wish(resource: Resource, kind: Kind, mut items: Vec<u64>) -> Wish {
    items.sort_unstable();
    Wish {
        process: process_stat::own(),
        resource,
        kind,
        items,
    }
}

fn fds(things: &[&dyn AsRawFd]) -> Vec<u64> {
    let number = |thing: &&dyn AsRawFd| u64::try_from(thing.as_raw_fd()).unwrap();
    things.iter().map(number).collect()
}

/// Calls `confirm` until `done`, as ticks would.
fn tick_until(
    confirmer: &mut Confirmer,
    now_ns: u64,
    wish: &Wish,
    done: fn(&Confirmer) -> bool,
) -> Option<Confirmation> {
    let begun = Instant::now();
    loop {
        let answer = confirmer.confirm(now_ns, wish);
        if answer.is_some() || done(confirmer) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no look was taken");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Takes the first look, lets `between` happen, takes the second.
fn confirmed(wish: &Wish, between: impl FnOnce()) -> Confirmation {
    let mut confirmer = Confirmer::new(Staleness::Rationed);
    let is_between = |confirmer: &Confirmer| {
        let mut looks = confirmer.looks.values();
        looks.all(|look| matches!(look.stage, Stage::Between { .. }))
    };
    assert_eq!(tick_until(&mut confirmer, START_NS, wish, is_between), None);
    between();
    assert_eq!(
        confirmer.confirm(START_NS + SHORTEST_NS - 1, wish),
        None,
        "too early"
    );
    let answer = tick_until(&mut confirmer, START_NS + LONGEST_NS, wish, |_| false);
    assert!(confirmer.looks.is_empty(), "it answers once");
    answer.unwrap()
}

fn seen(found: &Confirmation) -> [u32; 3] {
    [found.looked_at, found.stale, found.touched]
}

#[test]
fn files_that_are_read_on_and_files_that_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    std::fs::write(&path, "0123456789").unwrap();
    let mut one: Vec<File> = (0..6).map(|_| File::open(&path).unwrap()).collect();
    let other = directory.path().join("table");
    std::fs::write(&other, "contents").unwrap();
    // It may be read with `pread`.
    let at_start = File::open(&other).unwrap();
    let mut half_read = File::open(&other).unwrap();
    half_read.seek_relative(3).unwrap();
    let mut items: Vec<u64> = one.iter().flat_map(|file| fds(&[file])).collect();
    let half = wish(Resource::Fd, Kind::File, fds(&[&half_read]));
    items.extend(fds(&[&at_start]));
    let closed = one.pop().unwrap();
    let found = confirmed(&wish(Resource::Fd, Kind::File, items), || {
        one[0].read_exact(&mut [0; 4]).unwrap();
        one[1].read_exact(&mut [0; 1]).unwrap();
        drop(closed);
    });
    assert_eq!(seen(&found), [6, 3, 2]);
    assert_eq!(found.same_file, 5);
    assert_eq!(seen(&confirmed(&half, || ())), [1, 1, 0]);
    let written = confirmed(&half, || std::fs::write(&other, "by somebody else").unwrap());
    assert_eq!(seen(&written), [1, 0, 0]);
}

#[test]
fn connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pairs: Vec<(TcpStream, TcpStream)> = (0..5)
        .map(|_| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        })
        .collect();
    let (left, server) = pairs.pop().unwrap();
    drop(server);
    let mut items: Vec<u64> = pairs.iter().flat_map(|(client, _)| fds(&[client])).collect();
    items.extend(fds(&[&left, &listener]));
    thread::sleep(Duration::from_millis(50));
    let found = confirmed(&wish(Resource::Fd, Kind::Socket, items), || {
        pairs[0].0.write_all(b"request").unwrap();
        pairs[1].1.write_all(b"answer").unwrap();
        thread::sleep(Duration::from_millis(50));
    });
    // Of the one that listens it cannot be told.
    assert_eq!(seen(&found), [6, 3, 2]);
    assert_eq!(found.close_wait, 1);
}

/// Connections of which the client's end has sent that it has nothing more to say, and the server's ends.
fn left_by_clients(count: usize) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pairs = (0..count).map(|_| {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        (client, listener.accept().unwrap().0)
    });
    pairs.unzip()
}

/// Closes with a reset, as a host does whose client takes the port of a connection again that this side never closed.
fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
}

#[test]
fn a_connection_that_its_peer_left_and_then_reset_was_not_used() {
    let (mut clients, servers) = left_by_clients(6);
    thread::sleep(Duration::from_millis(50));
    let items = servers.iter().flat_map(|server| fds(&[server])).collect();
    let found = confirmed(&wish(Resource::Fd, Kind::Socket, items), || {
        clients.drain(..4).for_each(reset);
        thread::sleep(Duration::from_millis(50));
    });
    assert_eq!(seen(&found), [6, 6, 0]);
    assert_eq!(found.close_wait, 6);
}

#[test]
fn one_look_is_enough_where_peers_have_left_and_nothing_moves() {
    let (mut clients, mut servers) = left_by_clients(16);
    let items: Vec<u64> = servers.iter().flat_map(|server| fds(&[server])).collect();
    let wish = wish(Resource::Fd, Kind::Socket, items);
    let sights = || descriptors::look(wish.process.pid, &wish.items);
    let none = "what their peers have only just left may be answered";
    assert_eq!(look::at_once(&wish, &sights()), None, "{none}");
    reset(clients.pop().unwrap());
    thread::sleep(Duration::from_millis(2_100));
    let found = look::at_once(&wish, &sights()).unwrap();
    assert_eq!((seen(&found), found.close_wait), ([16, 16, 0], 16));
    for server in &mut servers[..2] {
        server.write_all(b"the rest of the answer").unwrap();
    }
    assert_eq!(look::at_once(&wish, &sights()), None);
}

#[test]
fn sockets_that_are_not_connections() {
    let unread = UdpSocket::bind("127.0.0.1:0").unwrap();
    let filled = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bare = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let netlink = rustix::net::socket(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        None,
    )
    .unwrap();
    let (orphan, peer) = UnixStream::pair().unwrap();
    drop(peer);
    let (mut busy, other) = UnixStream::pair().unwrap();
    let items = fds(&[&unread, &filled, &bare, &netlink, &orphan, &other]);
    let found = confirmed(&wish(Resource::Fd, Kind::Socket, items), || {
        unread.send_to(b"x", filled.local_addr().unwrap()).unwrap();
        busy.write_all(b"x").unwrap();
    });
    assert_eq!(seen(&found), [6, 3, 2]);
    // The orphan, and the bare one: of those that were connected and those that never were the same is left.
    assert_eq!(found.close_wait, 2);
}

#[test]
fn a_socket_somebody_waits_for_may_be_in_use() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let items = wish(Resource::Fd, Kind::Socket, fds(&[&socket]));
    assert_eq!(seen(&confirmed(&items, || ())), [1, 1, 0]);
    let waiting = socket.try_clone().unwrap();
    let items = wish(Resource::Fd, Kind::Socket, fds(&[&waiting]));
    let reader = thread::spawn(move || waiting.recv(&mut [0; 8]));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(seen(&confirmed(&items, || ())), [1, 0, 0]);
    socket.send_to(b"end", address).unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
fn sockets_in_another_network_namespace() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: no network namespace can be made");
        return;
    }
    let number = 100;
    let mut command = Command::new("sleep");
    command.arg("60");
    // SAFETY: it makes system calls only.
    unsafe {
        command.pre_exec(move || {
            rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET)?;
            let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap();
            let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>()).unwrap();
            assert_eq!(libc::bind(socket, (&raw const address).cast(), length), 0);
            assert_eq!(libc::dup2(socket, number), number);
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let sights = descriptors::look(child.id(), &[100]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sights[&100].mark.as_deref(), Some("7 0 0"));
    assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), own);
}

#[test]
fn events() {
    let idle = eventfd(0, EventfdFlags::empty()).unwrap();
    let written = eventfd(0, EventfdFlags::empty()).unwrap();
    let timer = || timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK).unwrap();
    let (running, set) = (timer(), timer());
    let arm = |timer: &OwnedFd, seconds| {
        let value = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            },
        };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &value).unwrap();
    };
    arm(&running, 1000);
    arm(&set, 1000);
    let items = wish(
        Resource::Fd,
        Kind::Eventfd,
        fds(&[&idle, &written, &running, &set]),
    );
    let found = confirmed(&items, || {
        thread::sleep(Duration::from_millis(250));
        rustix::io::write(&written, &1_u64.to_ne_bytes()).unwrap();
        arm(&set, 2000);
    });
    assert_eq!(seen(&found), [4, 2, 2]);
}

#[test]
fn an_event_loop_and_what_it_watches() {
    let [used, left] = [(); 2].map(|()| epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
    let [watched, dead] = [(); 2].map(|()| eventfd(0, EventfdFlags::empty()).unwrap());
    for (epoll, event) in [(&used, &watched), (&left, &dead)] {
        epoll::add(epoll, event, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    }
    let items = wish(Resource::Fd, Kind::Epoll, fds(&[&used, &left, &watched, &dead]));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut events = [std::mem::MaybeUninit::uninit(); 4];
            epoll::wait(used.as_fd(), &mut events, None).unwrap();
        });
        thread::sleep(Duration::from_millis(50));
        let found = confirmed(&items, || ());
        rustix::io::write(&watched, &1_u64.to_ne_bytes()).unwrap();
        assert_eq!(seen(&found), [4, 2, 1]);
    });
}

#[test]
fn named_pipes() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = directory.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    };
    let (idle, mut used) = (open("idle"), open("used"));
    thread::sleep(Duration::from_millis(50));
    let found = confirmed(&wish(Resource::Fd, Kind::Pipe, fds(&[&idle, &used])), || {
        used.write_all(b"x").unwrap();
        used.read_exact(&mut [0]).unwrap();
    });
    assert_eq!(seen(&found), [2, 1, 1]);
}

#[test]
fn pipes_tell_where_the_kernel_keeps_their_times() {
    let (read, write) = rustix::pipe::pipe().unwrap();
    let (idle, _other) = rustix::pipe::pipe().unwrap();
    thread::sleep(Duration::from_millis(50));
    let found = confirmed(&wish(Resource::Fd, Kind::Pipe, fds(&[&read, &idle])), || {
        rustix::io::write(&write, b"x").unwrap();
    });
    let (stale, touched) = (found.stale, found.touched);
    assert!([(1, 1), (0, 0)].contains(&(stale, touched)), "{found:?}");
}

#[test]
fn threads_that_sleep_and_one_that_runs() {
    let (tids, known) = channel();
    let (stop, stopped) = channel::<()>();
    let tid = || u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let tids = tids.clone();
            thread::spawn(move || {
                tids.send(tid()).unwrap();
                loop {
                    thread::park();
                }
            })
        })
        .collect();
    let runs = thread::spawn(move || {
        tids.send(tid()).unwrap();
        while stopped.try_recv().is_err() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let tids: Vec<u64> = known.iter().take(4).collect();
    thread::sleep(Duration::from_millis(50));
    let found = confirmed(&wish(Resource::Thread, Kind::Thread, tids), || {
        thread::sleep(Duration::from_millis(50));
    });
    stop.send(()).unwrap();
    runs.join().unwrap();
    assert_eq!(seen(&found), [4, 3, 1]);
    assert_eq!(found.waiting_alike, 3);
    assert_eq!(idle.len(), 3);
}

#[test]
fn memory_that_is_used_and_memory_that_is_kept() {
    const LEN: usize = 16 << 20;
    // With one kind of advice each they do not become one mapping.
    let map = |advice| {
        let mut map = MmapMut::map_anon(LEN).unwrap();
        map.advise(advice).unwrap();
        map.fill(1);
        map
    };
    let (kept, mut used) = (map(Advice::DontFork), map(Advice::DontDump));
    let pages = |map: &MmapMut| {
        (0..8)
            .map(|i| map.as_ptr() as u64 + i * (LEN as u64 / 8))
            .collect::<Vec<_>>()
    };
    let items = [pages(&kept), pages(&used)].concat();
    let found = confirmed(&wish(Resource::Memory, Kind::FirstTouch, items), || used.fill(2));
    assert_eq!(seen(&found), [16, 8, 8]);
    assert_eq!(kept[LEN - 1], 1, "nothing in it has changed");
}

#[test]
fn memory_is_left_alone_when_told_and_is_rationed() {
    let own = wish(Resource::Memory, Kind::FirstTouch, Vec::new());
    let mut off = Confirmer::new(Staleness::Off);
    assert_eq!(off.confirm(START_NS, &own), None);
    assert!(off.looks.is_empty());
    let process = |pid| Wish {
        process: ProcessId {
            pid,
            start_time_ns: 1,
        },
        ..own.clone()
    };
    let mut confirmer = Confirmer::new(Staleness::Rationed);
    let mut begins = |now_ns, pid| {
        confirmer.looks.clear();
        confirmer.confirm(now_ns, &process(pid));
        !confirmer.looks.is_empty()
    };
    assert!(begins(START_NS, u32::MAX));
    assert!(!begins(START_NS + MEMORY_NS - 1, u32::MAX - 1));
    assert!(begins(START_NS + MEMORY_NS, u32::MAX - 1));
    assert!(!begins(START_NS + 5 * MEMORY_NS, u32::MAX));
    assert!(begins(START_NS + MEMORY_OF_ONE_NS, u32::MAX));
}

#[test]
fn what_is_not_there_is_not_looked_at() {
    let none = wish(Resource::Fd, Kind::File, vec![999_999]);
    assert_eq!(seen(&confirmed(&none, || ())), [0, 0, 0]);
    let mut gone = none.clone();
    gone.process.start_time_ns += 3_600 * SECOND_NS;
    let mut confirmer = Confirmer::new(Staleness::Rationed);
    let has_failed = |confirmer: &Confirmer| {
        let mut looks = confirmer.looks.values();
        looks.any(|look| matches!(look.stage, Stage::Failed))
    };
    // The state shows before it is taken away.
    confirmer.confirm(START_NS, &gone);
    let begun = Instant::now();
    while !has_failed(&confirmer) && begun.elapsed() < Duration::from_secs(20) {
        confirmer.collect(START_NS);
        thread::sleep(Duration::from_millis(2));
    }
    assert!(has_failed(&confirmer));
    assert_eq!(confirmer.confirm(START_NS, &gone), None);
    assert!(confirmer.looks.is_empty());
}

#[test]
fn state_is_bounded_and_forgotten() {
    let mut confirmer = Confirmer::new(Staleness::Rationed);
    for pid in 0..2 * u32::try_from(MAX_LOOKS).unwrap() {
        let mut wish = wish(Resource::Fd, Kind::File, vec![0]);
        wish.process.pid = pid + (1 << 30);
        confirmer.confirm(START_NS, &wish);
    }
    assert_eq!(confirmer.looks.len(), MAX_LOOKS);
    confirmer.forget(START_NS + FORGET_NS);
    assert!(confirmer.looks.is_empty());
}

#[test]
fn a_look_that_never_ends_is_given_up() {
    let mut confirmer = Confirmer::new(Staleness::Rationed);
    let none = wish(Resource::Fd, Kind::File, vec![0]);
    for round in 0..MAX_STUCK {
        let now_ns = START_NS + u64::from(round) * 100 * SECOND_NS;
        confirmer.confirm(now_ns, &none);
        // As if it had not answered.
        for look in confirmer.looks.values_mut() {
            look.stage = Stage::Looking { due_ns: u64::MAX };
        }
        confirmer.awaited_since_ns = Some(now_ns);
        confirmer.look_after_worker(now_ns + STUCK_NS);
        assert!(confirmer.worker.is_none() && confirmer.looks.is_empty());
    }
    confirmer.confirm(START_NS + 1000 * SECOND_NS, &none);
    assert!(confirmer.worker.is_none(), "no thread more");
}

/// What a look costs. Run by hand: `cargo test --release -p leakwatch --lib -- --ignored --nocapture --test-threads 1 cost_of`.
#[test]
#[ignore = "measures; takes 4 GiB"]
fn cost_of_looks() {
    let time = |what: &str, act: &mut dyn FnMut()| {
        let begun = Instant::now();
        act();
        eprintln!("{what}: {:?}", begun.elapsed());
    };
    let pid = std::process::id();
    for gibibytes in [1_usize, 4] {
        let mut map = MmapMut::map_anon(gibibytes << 30).unwrap();
        map.advise(Advice::NoHugePage).unwrap();
        map.fill(1);
        let all = wish(Resource::Memory, Kind::FirstTouch, Vec::new());
        let mut cleared = None;
        time(
            &format!("smaps and clear_refs, {gibibytes} GiB of small pages"),
            &mut || cleared = memory::clear(pid),
        );
        let cleared = cleared.unwrap();
        time("smaps", &mut || assert!(memory::measure(&all, &cleared).is_ok()));
        time("touching every page again", &mut || {
            for page in map.chunks_mut(4096) {
                page[0] = 2;
            }
        });
    }
    let files: Vec<File> = (0..256).map(|_| File::open("/etc/passwd").unwrap()).collect();
    let items: Vec<u64> = files.iter().flat_map(|file| fds(&[file])).collect();
    time("256 files", &mut || {
        assert_eq!(descriptors::look(pid, &items).len(), 256);
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets: Vec<[TcpStream; 2]> = (0..4000)
        .map(|_| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            [client, listener.accept().unwrap().0]
        })
        .collect();
    let items = sockets.iter().take(256).flat_map(|[client, _]| fds(&[client]));
    let items: Vec<u64> = items.collect();
    time("256 sockets of a namespace with 8,000", &mut || {
        assert_eq!(descriptors::look(pid, &items).len(), 256);
    });
}
