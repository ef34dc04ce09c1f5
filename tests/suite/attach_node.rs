//! A node program that is asked says which function makes what it keeps, in every release of node that is here, and is left
//! as it was found.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::{
    binary,
    container::{Bundle, Container},
    leaks, node,
};
use serde::Deserialize;

const PROGRAM: &str = "runtimes/node/listeners.js";
/// Its function that leaks, and the one into which that may be inlined.
const LEAKING: [&str; 2] = [
    "takeOrder() (PATH/listeners.js:14)",
    "(anonymous)() (PATH/listeners.js:24)",
];
/// A program that exits two seconds after its inspector was opened.
const EXITS: &str = "const inspector = require('inspector');
    const exit = () => process.exit(7);
    setInterval(() => inspector.url() && setTimeout(exit, 2000), 50);";
const PATIENCE: Duration = Duration::from_secs(30);
const SETTLES: Duration = Duration::from_secs(1);

/// A page, in part.
#[derive(Debug, Deserialize)]
struct Page {
    answers: Option<Answers>,
    unread: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answers {
    live_bytes: Option<u64>,
    took_seconds: [f64; 2],
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    name: String,
    count: u64,
    bytes: u64,
}

#[test]
fn what_is_kept_is_named_by_who_makes_it() -> Result<()> {
    for node in node::releases()? {
        let leaky = Leaky::start(&node, &[])?;
        let pid = leaky.0.id();
        let before = descriptors(pid)?;
        let answers = asked(pid, "15s")?;
        ensure_named(&answers, leaks::path(PROGRAM).parent().context("a directory")?)?;
        ensure_left(pid, &before).with_context(|| node.display().to_string())?;
    }
    Ok(())
}

#[test]
fn an_inspector_that_was_open_stays_open() -> Result<()> {
    for node in node::releases()? {
        let inspector = format!("--inspect={}", free_port()?);
        let leaky = Leaky::start(&node, &[&inspector])?;
        let before = descriptors(leaky.0.id())?;
        asked(leaky.0.id(), "5s")?;
        ensure_left(leaky.0.id(), &before).with_context(|| node.display().to_string())?;
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_named() -> Result<()> {
    for node in node::releases()?.into_iter().take(1) {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = taken.local_addr()?;
        let leaky = Leaky::start(&node, &[&format!("--inspect-port={}", address.port())])?;
        let page = page(leaky.0.id(), "1s")?;
        let said = format!("another process listens on {address}");
        ensure!(
            page.answers.is_none() && page.unread.iter().any(|why| why.contains(&said)),
            "{page:?}"
        );
    }
    Ok(())
}

#[test]
fn who_wants_to_exit_is_not_held_up() -> Result<()> {
    for node in node::releases()? {
        let mut command = Command::new(&node);
        let mut child = command.args(["--inspect-port=0", "-e", EXITS]).spawn()?;
        let pid = child.id();
        let watched = thread::spawn(move || page(pid, "60s"));
        let began = Instant::now();
        let status = child.wait()?;
        let took = began.elapsed();
        let node = node.display();
        ensure!(status.code() == Some(7), "{node}: {status}");
        ensure!(took < Duration::from_secs(50), "{node}: it exited after {took:?}");
        let page = watched.join().ok().context("it panicked")??;
        ensure!(page.answers.is_none(), "{page:?}");
    }
    Ok(())
}

#[test]
fn in_a_container_with_a_network_of_its_own() -> Result<()> {
    let (Some(bundle), Some(node)) = (Bundle::new()?, node::releases()?.pop()) else {
        return Ok(());
    };
    bundle.add_program(&node, "bin/node")?;
    bundle.add(&leaks::path(PROGRAM), "srv/listeners.js")?;
    bundle.configure(&["/bin/node", "/srv/listeners.js", "leaky"], &[])?;
    let container = Container::start(&bundle)?;
    let pid = container.pid()?;
    ready(pid)?;
    let before = descriptors(pid)?;
    let answers = asked(pid, "15s")?;
    ensure_named(&answers, Path::new("/srv"))?;
    ensure_left(pid, &before)?;
    container.ensure_runs()
}

fn ensure_named(answers: &Answers, directory: &Path) -> Result<()> {
    let first = answers.differences.first().context("nothing is kept")?;
    let directory = directory.to_str().context("a path")?;
    println!(
        "{first:?} of {:?}, asked for {:?}",
        answers.live_bytes, answers.took_seconds
    );
    ensure!(
        LEAKING
            .iter()
            .any(|name| name.replace("PATH", directory) == first.name),
        "{answers:?}"
    );
    // Up to 2000 orders a second, each with 64 elements of 8 bytes and three smaller objects.
    ensure!(first.bytes > 1_000_000 && first.count > 4000, "{first:?}");
    Ok(())
}

/// It has the descriptors that it had, sockets among them, and still runs.
fn ensure_left(pid: u32, before: &[PathBuf]) -> Result<()> {
    let after = descriptors(pid)?;
    ensure!(before == after, "{before:?} and then {after:?}");
    Ok(())
}

/// What its runtime answers.
fn asked(pid: u32, duration: &str) -> Result<Answers> {
    let page = page(pid, duration)?;
    page.answers
        .with_context(|| format!("no answer: {:?}", page.unread))
}

fn page(pid: u32, duration: &str) -> Result<Page> {
    let pid = pid.to_string();
    let arguments = [
        "explain",
        "-p",
        &pid,
        "--attach",
        "--duration",
        duration,
        "-o",
        "json",
    ];
    let page = binary::stdout(&binary::leakwatch()?, arguments)?;
    Ok(serde_json::from_slice(&page)?)
}

/// What its descriptors lead to, in order.
fn descriptors(pid: u32) -> Result<Vec<PathBuf>> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let mut links: Vec<PathBuf> = links
        .flatten()
        .flat_map(|link| fs::read_link(link.path()))
        .collect();
    links.sort();
    Ok(links)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Until it has opened what it opens when it starts: then it handles signals as well.
fn ready(pid: u32) -> Result<()> {
    let began = Instant::now();
    let mut before = Vec::new();
    loop {
        thread::sleep(SETTLES);
        let now = descriptors(pid)?;
        if now == before
            && now
                .iter()
                .any(|target| target.ends_with("anon_inode:[eventpoll]"))
        {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "it does not start: {now:?}");
        before = now;
    }
}

/// A program that leaks; dropping it ends it.
struct Leaky(Child);

impl Leaky {
    fn start(node: &Path, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(node);
        command.args(options).arg(leaks::path(PROGRAM)).arg("leaky");
        let leaky = Self(command.spawn()?);
        ready(leaky.0.id())?;
        Ok(leaky)
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _already_reaped = self.0.wait();
    }
}
