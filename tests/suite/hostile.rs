//! Processes and binaries that lie, vanish, or are too large: the agent answers in time, stays small, says nothing that
//! controls a terminal, and is still right about everybody else.

use std::{
    fs::{self, Permissions},
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::Snapshot;
use leakwatch_tests::{
    agent::Agent,
    binary,
    leaks::{self, Language, Leak, Mode},
    sites,
};
use object::{Object, ObjectSection};
use rustix::process::Signal;

/// How long each is watched.
const WATCHED: Duration = Duration::from_secs(12);

/// An agent that has not answered, or not finished a tick, in that time hangs. What it may take is a bench's business.
const HUNG: Duration = Duration::from_secs(30);

/// Resident memory of the agent, whatever it watches (docs/overhead.md).
const RSS: u64 = 192 << 20;

const RATE: u32 = 50;

/// When programs end if nobody ends them.
const END: Duration = Duration::from_mins(2);

/// One test at a time: each measures the agent.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn processes_that_exit_while_they_are_read() -> Result<()> {
    hostile("exits", |_| Ok(None), None)
}

#[test]
fn code_that_is_unloaded_and_deleted_while_it_is_read() -> Result<()> {
    let plugin = |dir: &Path| {
        let plugin = dir.join("plugin.so");
        leaks::library("plugin.c", &plugin)?;
        Ok(Some(plugin))
    };
    hostile("reloads", plugin, Some("leak_descriptor"))
}

#[test]
fn ten_gigabytes_in_sixty_thousand_mappings() -> Result<()> {
    hostile("maps", |_| Ok(None), Some("leak_descriptor"))
}

#[test]
fn names_that_control_terminals() -> Result<()> {
    hostile("names", |dir| Ok(Some(dir.to_owned())), Some("leak_descriptor"))
}

/// Runs a mode of `hostile`, which leaks in `function`.
fn hostile(
    mode: &str,
    file: impl Fn(&Path) -> Result<Option<PathBuf>>,
    function: Option<&str>,
) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("hostile");
    if !leaks::c("hostile.c", &program)? {
        return Ok(());
    }
    let file = file(dir.path())?;
    survive(dir.path(), || {
        let seconds = END.as_secs().to_string();
        let mut command = Command::new(&program);
        command.args([mode, &seconds]).args(file.iter());
        let pid = Leak::start(&mut command)?;
        let expected = function.map(|function| (pid.pid(), function.to_owned()));
        Ok((vec![pid], Vec::from_iter(expected)))
    })
}

/// Each leaks descriptors, so that its stacks are unwound and its symbols looked up.
#[test]
fn binaries_whose_tables_lie() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir()?;
    let Some(program) = Language::C.build(dir.path())? else {
        return Ok(());
    };
    let honest = fs::read(&program)?;
    survive(dir.path(), || {
        let mut leaks = Vec::new();
        for (name, lie) in LIES {
            let mut bytes = honest.clone();
            lie(&mut bytes).with_context(|| format!("cannot make a binary with {name}"))?;
            ensure!(bytes != honest, "{name}: nothing has changed");
            let path = dir.path().join(name.replace(' ', "-"));
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            leaks.push(Leak::of(&path, Mode::Fd, RATE, END)?);
        }
        Ok((leaks, Vec::new()))
    })
}

/// Makes a binary lie.
type Lie = fn(&mut Vec<u8>) -> Result<()>;

/// None of these keeps a program from running: nothing of it is loaded, or only exceptions need it.
const LIES: [(&str, Lie); 11] = [
    ("flipped unwind tables", |bytes| {
        each(bytes, ".eh_frame", |index, byte| {
            if index % 7 == 0 { byte ^ 0xff } else { byte }
        })
    }),
    ("unwind tables of ones", |bytes| {
        each(bytes, ".eh_frame", |_, _| 0xff)
    }),
    ("flipped unwind index", |bytes| {
        each(bytes, ".eh_frame_hdr", |index, byte| {
            if index % 3 == 0 { byte ^ 0x55 } else { byte }
        })
    }),
    ("unwind index of ones", |bytes| {
        each(bytes, ".eh_frame_hdr", |_, _| 0xff)
    }),
    ("symbols of ones", |bytes| each(bytes, ".symtab", |_, _| 0xff)),
    ("shuffled symbols", |bytes| {
        each(bytes, ".symtab", |index, byte| {
            byte.wrapping_mul(167) ^ [0, 0x80, 0x0f][index % 3]
        })
    }),
    ("names without an end", |bytes| {
        each(bytes, ".strtab", |_, _| b'A')
    }),
    ("mangled names without an end", |bytes| {
        each(bytes, ".strtab", |index, _| b"_ZNSt1"[index % 6])
    }),
    ("names with escape codes", |bytes| {
        each(bytes, ".strtab", |index, byte| match byte {
            0 => 0,
            _ => b"\x1b[2J\x1b]0;owned\x07\n"[index % 15],
        })
    }),
    ("a table of Go functions that is none", |bytes| {
        // A header as of Go 1.20, and then sizes and offsets beyond everything.
        let header = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        each(bytes, ".eh_frame_hdr", |index, _| {
            header.get(index).copied().unwrap_or(0xff)
        })?;
        let names = section_of(bytes, ".shstrtab")?;
        let (old, new) = (b".eh_frame_hdr\0", b".gopclntab\0\0\0\0");
        let names = bytes.get_mut(names).context("names outside the file")?;
        let at = names.windows(old.len()).position(|name| name == old);
        let at = at.context("no such name")?;
        names[at..at + new.len()].copy_from_slice(new);
        Ok(())
    }),
    ("no end of sections", |bytes| {
        // e_shoff, e_shentsize, e_shnum, e_shstrndx
        for (range, value) in [(0x28..0x30, 0x7f), (0x3a..0x40, 0xff)] {
            bytes.get_mut(range).context("no ELF header")?.fill(value);
        }
        Ok(())
    }),
];

/// Replaces every byte of a section.
fn each(bytes: &mut [u8], section: &str, change: impl Fn(usize, u8) -> u8) -> Result<()> {
    let range = section_of(bytes, section)?;
    let section = bytes.get_mut(range).context("a section outside its file")?;
    for (index, byte) in section.iter_mut().enumerate() {
        *byte = change(index, *byte);
    }
    Ok(())
}

fn section_of(bytes: &[u8], name: &str) -> Result<Range<usize>> {
    let file = object::File::parse(bytes)?;
    let section = file.section_by_name(name).with_context(|| format!("no {name}"))?;
    let (start, size) = section.file_range().context("not in the file")?;
    Ok(usize::try_from(start)?..usize::try_from(start + size)?)
}

/// Watches what `start` starts, and an ordinary program beside it. `start` also says which functions must come first among
/// those that hold files, by pid.
fn survive(dir: &Path, start: impl FnOnce() -> Result<(Vec<Leak>, Vec<(u32, String)>)>) -> Result<()> {
    let Some(bystander) = Language::Cpp.build(dir)? else {
        return Ok(());
    };
    let mut agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let bystander = Leak::of(&bystander, Mode::Fd, RATE, END)?;
    let (mut leaks, mut expected) = start()?;
    expected.push((bystander.pid(), Language::Cpp.function(Mode::Fd)));
    let watched: Vec<u32> = leaks.iter().map(Leak::pid).chain([bystander.pid()]).collect();

    let deadline = Instant::now() + WATCHED;
    let (mut slowest, mut tick, mut rss) = (Duration::ZERO, 0.0_f64, 0);
    let mut last = None;
    while Instant::now() < deadline {
        let asked = Instant::now();
        agent.snapshot()?;
        slowest = slowest.max(asked.elapsed());
        let snapshot = agent.snapshot_of_all(watched.iter().copied())?;
        tick = tick.max(snapshot.health.agent.tick_seconds);
        rss = rss.max(snapshot.health.agent.rss_bytes);
        last = Some(snapshot);
        thread::sleep(Duration::from_millis(200));
    }
    for leak in &mut leaks {
        leak.still_runs()?;
    }
    println!(
        "slowest answer {slowest:?}, longest tick {tick} s, {} KiB resident",
        rss >> 10
    );
    let snapshot = last.context("no snapshot")?;
    for (pid, function) in &expected {
        let row = sites::row(&snapshot, *pid).context("a process is not in the snapshot")?;
        println!("{}", sites::describe(row, "file"));
        ensure!(
            sites::top_is(row, "file", function),
            "{function} does not come first"
        );
    }
    no_control_characters(&snapshot)?;
    ensure!(slowest <= HUNG, "an answer took {slowest:?}");
    ensure!(tick <= HUNG.as_secs_f64(), "a tick took {tick} s");
    ensure!(rss <= RSS, "{rss} bytes are resident, {RSS} are allowed");
    let log = agent.log_text()?;
    ensure!(!log.contains("panicked"), "{log}");
    ensure!(
        !log.contains('\x1b') || !log.contains("owned"),
        "escape codes of others in the log:\n{log}"
    );
    drop(leaks);
    agent.stop(Signal::TERM)
}

fn no_control_characters(snapshot: &Snapshot) -> Result<()> {
    let text = serde_json::to_string(snapshot)?;
    // JSON writes them as \u00XX, \n and so on.
    for escaped in ["\\u00", "\\n", "\\b", "\\r"] {
        ensure!(
            !text.contains(escaped),
            "a control character in: {}",
            around(&text, escaped)
        );
    }
    Ok(())
}

fn around<'a>(text: &'a str, what: &str) -> &'a str {
    let at = text.find(what).unwrap_or(0);
    let start = text.floor_char_boundary(at.saturating_sub(80));
    let end = text.floor_char_boundary((at + 80).min(text.len()));
    &text[start..end]
}
