//! `leakwatch check`: each exit code for its reason, a command and all that it starts, and what CI reads.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use leakwatch::{
    model::finding::{Resource, Verdict},
    present::findings::Document,
};
use leakwatch_tests::{
    binary,
    holder::Holder,
    leaks::{self, Language, Leak, Mode},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const LEAK: i32 = 1;
const USAGE: i32 = 2;
const UNOBSERVED: i32 = 3;

/// Things a second that a leak of the suite takes, and how long it is watched: it is found in 25 s, beside four busy loops
/// in 33 s.
const RATE: u32 = 20;
const SECONDS: &str = "50";
/// For what does not leak.
const SHORT: &str = "12";
/// A leak outlives every check of it.
const LIFE: Duration = Duration::from_mins(3);

/// A pid above any the kernel gives out (`PID_MAX_LIMIT`).
const NO_PID: &str = "4194305";
/// `nobody` on every Linux.
const NOBODY: u32 = 65_534;

#[test]
fn a_leak_ends_it_with_one_and_its_evidence() -> Result<()> {
    let Some(built) = Built::new()? else {
        return Ok(());
    };
    let leak = Leak::of(&built.program, Mode::Fd, RATE, LIFE)?;
    let hooked = built.dir.path().join("hooked");
    let output = check(&[
        "--pid",
        &leak.pid().to_string(),
        "--duration",
        SECONDS,
        "-o",
        "json",
        "--on-leak",
        &format!("cat > {}", hooked.display()),
    ])?;
    ended(&output, LEAK)?;
    let document: Document = serde_json::from_slice(&output.stdout)?;
    let finding = document.findings.first().context("no finding")?;
    ensure!(
        finding.pid == leak.pid()
            && finding.resource == Resource::Fd
            && finding.verdict == Verdict::Leaking
            && finding.confidence >= 0.9
            && !finding.evidence.is_empty(),
        "{finding:?}"
    );
    let blamed = finding.sites.first().and_then(|site| site.function.as_deref());
    ensure!(blamed == Some("leak_descriptor"), "{:?}", finding.sites);
    ensure!(document.targets.len() == 1 && document.targets[0].judged);
    // The hook was told the same.
    let told: serde_json::Value = serde_json::from_slice(&fs::read(&hooked).context("no hook ran")?)?;
    ensure!(
        told["pid"] == leak.pid() && told["verdict"] == "leaking" && told["schema_version"] == 1,
        "{told}"
    );
    Ok(())
}

#[test]
fn what_holds_still_ends_it_with_nought() -> Result<()> {
    let holder = Holder::start("innocent")?;
    let pid = holder.pid().to_string();
    for target in [["--pid", pid.as_str()], ["--name", "innoc?nt"]] {
        let output = check(&[target[0], target[1], "--duration", SHORT])?;
        ended(&output, 0)?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said.contains("nothing leaks: 1 process observed"), "{said}");
    }
    Ok(())
}

#[test]
fn what_was_typed_wrongly_ends_it_with_two() -> Result<()> {
    let wrong: [&[&str]; 4] = [
        &["--fail-on", "everything"],
        &["--pid", "1", "--name", "x"],
        &["-o", "json", "--", "true"],
        &["--duration", "0", "--", "true"],
    ];
    for arguments in wrong {
        let output = check(arguments)?;
        ended(&output, USAGE).with_context(|| format!("{arguments:?}"))?;
        ensure!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    Ok(())
}

#[test]
fn what_cannot_be_observed_ends_it_with_three() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("no-agent");
    let socket = socket.to_str().context("path")?;
    let unobservable: [&[&str]; 4] = [
        &["--pid", NO_PID],
        &["--name", "no-such-name"],
        &["--container", "ffffffffffffffff"],
        &["--connect", socket],
    ];
    for arguments in unobservable {
        let output = check(arguments)?;
        ended(&output, UNOBSERVED).with_context(|| format!("{arguments:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.contains("error:") && said.contains("fix:"), "{said}");
        ensure!(output.stdout.is_empty());
    }
    // Ends before anything can be said.
    let brief = check(&["--", "true"])?;
    ended(&brief, UNOBSERVED)?;
    ensure!(String::from_utf8_lossy(&brief.stderr).contains("observed for long enough"));
    // Probes cannot be loaded, and so the command is not run.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    let copy = dir.path().join("leakwatch");
    fs::copy(binary::leakwatch()?, &copy)?;
    let ran = dir.path().join("ran");
    let output = Command::new(&copy)
        .args(["check", "--", "touch"])
        .arg(&ran)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()?;
    ended(&output, UNOBSERVED)?;
    ensure!(!ran.exists(), "the command ran unobserved");
    Ok(())
}

#[test]
fn a_process_that_ends_too_soon_was_not_observed() -> Result<()> {
    let mut child = Command::new("sleep").arg("4").spawn()?;
    let output = check(&["--pid", &child.id().to_string(), "--duration", SECONDS])?;
    child.wait()?;
    ended(&output, UNOBSERVED)?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains("too soon to say anything"), "{said}");
    Ok(())
}

#[test]
fn a_commands_own_exit_code_is_passed_on() -> Result<()> {
    for (script, code) in [
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        (&format!("sleep {SHORT}; exit 0"), 0),
    ] {
        let output = check(&["--", "sh", "-c", script])?;
        ended(&output, code).with_context(|| script.to_owned())?;
    }
    ended(&check(&["--", "/no/such/command"])?, 127)?;
    ended(&check(&["--", "/etc/passwd"])?, 126)
}

#[test]
fn a_commands_streams_are_its_own() -> Result<()> {
    let mut child = Command::new(binary::leakwatch()?)
        .args(["check", "--", "sh", "-c", "tr a-z A-Z; echo said >&2; exit 5"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no pipe")?.write_all(b"hello\n")?;
    let output = child.wait_with_output()?;
    ended(&output, 5)?;
    ensure!(
        output.stdout == b"HELLO\n",
        "{:?}",
        String::from_utf8_lossy(&output.stdout)
    );
    ensure!(String::from_utf8_lossy(&output.stderr).contains("said\n"));
    Ok(())
}

#[test]
fn a_grandchild_that_leaks_is_found_even_without_its_parents() -> Result<()> {
    let Some(built) = Built::new()? else {
        return Ok(());
    };
    let file = built.dir.path().join("leaks.xml");
    let program = built.program.display();
    // The second shell ends at once: the leak loses its parent.
    let script = format!("sh -c '{program} fd {RATE} 100 & exit 0'; sleep {SECONDS}; exit 0");
    let output = Command::new(binary::leakwatch()?)
        .args(["check", "-o", "junit", "--output-file"])
        .arg(&file)
        .args(["--duration", "60", "--", "sh", "-c", &script])
        .output()?;
    ended(&output, LEAK)?;
    let text = fs::read_to_string(&file)?;
    ensure!(
        text.contains("classname=\"leak-c\"") && text.contains("<failure type=\"leak\""),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_command_whose_time_is_over_is_ended_with_all_it_started() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pids = dir.path().join("pids");
    let script = format!("sleep 601 & echo $! > {}; sleep 602", pids.display());
    let started = Instant::now();
    let output = check(&["--duration", SHORT, "--", "sh", "-c", &script])?;
    ended(&output, 0)?;
    ensure!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    let pid = fs::read_to_string(pids)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let line = format!("/proc/{}/cmdline", pid.trim());
    while fs::read_to_string(&line).is_ok_and(|line| line.contains("601")) {
        ensure!(Instant::now() < deadline, "process {pid} still runs");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn signals_are_passed_on() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ready = dir.path().join("ready");
    let script = format!(
        "trap 'exit 42' TERM; touch {}; while :; do sleep 0.1; done",
        ready.display()
    );
    let mut child = Command::new(binary::leakwatch()?)
        .args(["check", "--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ready.exists() {
        ensure!(Instant::now() < deadline, "the command was not started");
        thread::sleep(Duration::from_millis(50));
    }
    kill_process(
        Pid::from_raw(child.id().cast_signed()).context("pid 0")?,
        Signal::TERM,
    )?;
    ensure!(child.wait()?.code() == Some(42));
    Ok(())
}

#[test]
fn a_webhook_is_told() -> Result<()> {
    let Some(built) = Built::new()? else {
        return Ok(());
    };
    let leak = Leak::of(&built.program, Mode::Fd, RATE, LIFE)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let server = thread::spawn(move || -> Result<String> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"}\n") {
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "it ends early");
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
        Ok(String::from_utf8(request)?)
    });
    let pid = leak.pid().to_string();
    let output = check(&["-p", &pid, "-d", SECONDS, "-o", "github", "--webhook", &url])?;
    ended(&output, LEAK)?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains("::error title=leaking file descriptors"), "{said}");
    let request = server.join().ok().context("the server panicked")??;
    ensure!(
        request.starts_with("POST /hook ") && request.contains(&format!("\"pid\":{pid}")),
        "{request}"
    );
    Ok(())
}

#[test]
fn what_is_near_a_limit_is_said_at_once() -> Result<()> {
    // Ninety-five of a hundred descriptors.
    let script = "ulimit -n 100; for i in $(seq 10 98); do eval \"exec $i</dev/null\"; done; sleep 60";
    let mut full = Command::new("bash").args(["-c", script]).spawn()?;
    thread::sleep(Duration::from_secs(1));
    let output = check(&["--duration", "0", "--pid", &full.id().to_string(), "-o", "json"]);
    full.kill()?;
    full.wait()?;
    let output = output?;
    ended(&output, LEAK)?;
    let document: Document = serde_json::from_slice(&output.stdout)?;
    let near = document
        .limits
        .iter()
        .find(|near| near.limit.name.as_ref() == "RLIMIT_NOFILE");
    ensure!(
        near.is_some_and(|near| near.limit.value == 100 && near.limit.in_use >= 90),
        "{:?}",
        document.limits
    );
    Ok(())
}

#[test]
fn every_example_of_the_page_works_as_written() -> Result<()> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci.md"))?;
    let scratch = tempfile::tempdir()?;
    let load = scratch.path().join("load-test.sh");
    fs::write(&load, format!("#!/bin/sh\nsleep {SHORT}\n"))?;
    fs::set_permissions(&load, Permissions::from_mode(0o755))?;
    let mut scripts = Vec::new();
    for (language, block) in blocks(&page) {
        match language {
            "console" => {
                let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
                scripts.extend(commands.map(str::to_owned));
            }
            "sh" => scripts.push(block),
            "yaml" => scripts.extend(
                block
                    .lines()
                    .filter_map(|line| line.trim_start().strip_prefix("run: "))
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    ensure!(scripts.len() >= 8, "only {} examples found", scripts.len());
    let leakwatch = binary::leakwatch()?;
    let directory = leakwatch.parent().context("the binary has a directory")?;
    let path = format!("{}:{}", directory.display(), std::env::var("PATH")?);
    // One of the examples is about every process of this name.
    let mut shell = Command::new("sh").args(["-c", "sleep 600; exit"]).spawn()?;
    let ran = run_each(scripts, &path, scratch.path());
    shell.kill()?;
    shell.wait()?;
    ran
}

fn run_each(scripts: Vec<String>, path: &str, directory: &Path) -> Result<()> {
    for script in scripts {
        // The tests are root already, and where they run there may be no sudo.
        let script = script.replace("sudo ", "");
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .current_dir(directory)
            .output()?;
        // Another program of this machine may leak; that could be observed is what is to be shown.
        let whole_host = !script.contains("--pid") && !script.contains("-- ");
        let fine = output.status.success() || whole_host && output.status.code() == Some(LEAK);
        ensure!(
            fine,
            "`{script}` ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The blocks of a page, and what each is in.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) => {
                if !inside {
                    blocks.push((language, String::new()));
                }
                inside = !inside;
            }
            None if inside => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            None => {}
        }
    }
    blocks
}

/// `leak` in C, and where it is.
struct Built {
    program: PathBuf,
    dir: TempDir,
}

impl Built {
    fn new() -> Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let program = dir.path().join(Language::C.program());
        Ok(leaks::c("leak.c", &program)?.then_some(Self { program, dir }))
    }
}

fn check(arguments: &[&str]) -> Result<Output> {
    binary::run(&binary::leakwatch()?, std::iter::once(&"check").chain(arguments))
}

fn ended(output: &Output, code: i32) -> Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "ended with {} instead of {code}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    Ok(())
}
