//! A session of `leakwatch top` as a person has it.

use std::time::Duration;

use anyhow::{Result, ensure};
use leakwatch_tests::{agent::Agent, binary, holder::Holder, package, tmux::Terminal};
use rustix::process::Signal;

const HOLDER: &str = "tui-holder";

#[test]
fn sort_filter_details_pause_resize_quit() -> Result<()> {
    if package::find("tmux", "tmux")?.is_none() {
        return Ok(());
    }
    let binary = binary::leakwatch()?;
    let agent = Agent::start::<&str>(&binary, [], Duration::from_secs(30))?;
    let holder = Holder::start(HOLDER)?;
    let terminal = Terminal::start(120, 30)?;

    terminal.type_text(&format!(
        "{} top --connect {}",
        binary.display(),
        agent.socket().display()
    ))?;
    terminal.press("Enter")?;
    terminal.wait_until("table", |screen| {
        screen.contains("PID") && screen.contains("health")
    })?;

    sort(&terminal)?;
    filter(&terminal, holder.pid())?;
    details(&terminal)?;
    pause(&terminal)?;
    resize(&terminal)?;

    terminal.press("q")?;
    terminal.wait_for("ready>")?;
    ensure!(
        terminal.state("#{alternate_on}")? == "0",
        "the alternate screen is still on"
    );
    ensure!(terminal.state("#{cursor_flag}")? == "1", "the cursor is hidden");
    ensure!(
        terminal.state("#{mouse_any_flag}")? == "0",
        "the mouse is still captured"
    );
    terminal.type_text("echo code $?; stty -a")?;
    terminal.press("Enter")?;
    let screen = terminal.wait_for("icanon")?;
    ensure!(screen.contains("code 0"), "top did not end with 0:\n{screen}");
    for flag in ["-icanon", "-echo ", "-isig", "-opost"] {
        ensure!(
            !screen.contains(flag),
            "the terminal is left with {flag}:\n{screen}"
        );
    }
    drop(holder);
    agent.stop(Signal::TERM)
}

fn sort(terminal: &Terminal) -> Result<()> {
    terminal.press("F")?;
    terminal.wait_for("by fds")?;
    terminal.press("s")?;
    terminal.wait_for("sort by")?;
    terminal.press("Escape")?;
    terminal.press("T")?;
    let screen = terminal.wait_for("by threads")?;
    let threads: Vec<u32> = column(&screen, "THR");
    ensure!(
        threads.len() > 2 && threads.is_sorted_by(|a, b| a >= b),
        "not sorted by threads: {threads:?}\n{screen}"
    );
    Ok(())
}

fn filter(terminal: &Terminal, pid: u32) -> Result<()> {
    terminal.press("/")?;
    terminal.type_text(HOLDER)?;
    terminal.press("Enter")?;
    let screen = terminal.wait_until("one process", |screen| column(screen, "PID") == [pid])?;
    ensure!(
        screen.contains(HOLDER),
        "{HOLDER} is not on the screen:\n{screen}"
    );
    Ok(())
}

fn details(terminal: &Terminal) -> Result<()> {
    terminal.press("Down")?;
    terminal.press("Enter")?;
    // Descriptors by kind are read from now on, because somebody looks.
    let screen = terminal.wait_until("kinds", |screen| {
        screen.contains("File descriptors") && screen.contains("file 3")
    })?;
    ensure!(screen.contains("Threads"), "no threads in the details:\n{screen}");
    terminal.press("Escape")?;
    terminal.wait_until("table", |screen| !screen.contains("File descriptors"))?;
    Ok(())
}

fn pause(terminal: &Terminal) -> Result<()> {
    terminal.press("Space")?;
    let paused = terminal.wait_for("PAUSED")?;
    std::thread::sleep(Duration::from_secs(3));
    ensure!(
        terminal.screen()? == paused,
        "the screen changes while paused:\n{paused}\n{}",
        terminal.screen()?
    );
    terminal.press("Space")?;
    terminal
        .wait_until("no pause", |screen| !screen.contains("PAUSED"))
        .map(drop)
}

fn resize(terminal: &Terminal) -> Result<()> {
    for (columns, rows) in [(200, 50), (80, 24), (40, 10), (20, 4), (120, 30)] {
        terminal.resize(columns, rows)?;
        // Below 40x10 it only has to survive.
        if columns >= 40 {
            terminal.wait_until("table", |screen| {
                screen.contains("PID") && screen.contains("tui-")
            })?;
        }
    }
    Ok(())
}

/// The numbers in the column under `heading`, whose cells are right-aligned.
fn column(screen: &str, heading: &str) -> Vec<u32> {
    let mut lines = screen.lines().skip_while(|line| !line.contains(heading));
    let Some(header) = lines.next() else {
        return Vec::new();
    };
    let end = header.chars().count() - header.split(heading).skip(1).collect::<String>().chars().count();
    lines
        .map_while(|line| {
            let cell: String = line.chars().take(end).collect();
            cell.rsplit(' ').next()?.parse().ok()
        })
        .collect()
}
