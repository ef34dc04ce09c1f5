//! A program that is counted from outside and says itself what it holds: questions on its standard input, answers on its
//! standard output, one a line.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use leakwatch::model::census::{Census, RuntimeView};
use serde::de::DeserializeOwned;

use crate::binary;

/// Dropping it ends it.
pub struct Subject {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Subject {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, input, output })
    }

    /// The same, and waits until it holds all that it will hold: then it says `ready`.
    pub fn start_ready(command: &mut Command) -> Result<Self> {
        let mut subject = Self::start(command)?;
        let ready = subject.line()?;
        ensure!(ready.trim() == "ready", "it says {ready:?}");
        Ok(subject)
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something that it does not answer at once.
    pub fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// What it answers, as JSON.
    pub fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T> {
        self.say(question)?;
        self.answer()
    }

    /// What it says next, as JSON.
    pub fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Asks what takes it a second, as JSON, and counts again and again meanwhile.
    pub fn ask_while_counted<T: DeserializeOwned>(&mut self, question: &str) -> Result<(T, Vec<Census>)> {
        let pid = self.pid();
        let censuses = thread::spawn(move || -> Result<Vec<Census>> {
            let until = Instant::now() + Duration::from_secs(1);
            let mut taken = Vec::new();
            while Instant::now() < until {
                taken.push(census(pid)?);
            }
            Ok(taken)
        });
        let answer = self.ask(question)?;
        let censuses = censuses.join().ok().context("it panicked")??;
        Ok((answer, censuses))
    }

    /// What leakwatch counts in it.
    pub fn census(&self) -> Result<Census> {
        census(self.pid())
    }

    /// Ends it at once; until it is dropped, its pid stays its own.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the program ended: {:?}", self.child.wait()?);
        }
        Ok(line)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// What leakwatch counts in a process.
pub fn census(pid: u32) -> Result<Census> {
    let census = binary::stdout(&binary::census()?, [pid.to_string()])?;
    Ok(serde_json::from_slice(&census)?)
}

/// What one runtime says in a census.
pub fn view<'a>(census: &'a Census, runtime: &str) -> Result<&'a RuntimeView> {
    let view = census.views.iter().find(|view| view.runtime == runtime);
    view.with_context(|| format!("no view of {runtime}"))
}

/// What one counter of a runtime says.
pub fn counter(view: &RuntimeView, name: &str) -> Result<u64> {
    let counter = view.counters.iter().find(|counter| counter.name == name);
    Ok(counter.with_context(|| format!("no {name}"))?.value)
}

/// An error unless they differ by 2 % at the most.
pub fn ensure_close(what: &str, seen: u64, stated: u64) -> Result<()> {
    ensure!(
        seen.abs_diff(stated) * 50 <= stated,
        "{what}: {seen} and not {stated}"
    );
    Ok(())
}
