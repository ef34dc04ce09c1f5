//! A program that runs, and what `/proc` says it holds.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use leakwatch::model::finding::Resource;
use leakwatch_tests::truth::Truth;

use crate::{
    build::Built,
    catalog::{Case, Role},
};

/// In which of its forms it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Leaky,
    Fixed,
    Grower,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leaky => "leaky",
            Self::Fixed => "fixed",
            Self::Grower => "grower",
        }
    }

    /// The forms in which a program of `role` runs.
    pub(crate) fn of(role: Role) -> &'static [Self] {
        match role {
            Role::Leak(_) => &[Self::Leaky, Self::Fixed],
            Role::Grower(_) => &[Self::Grower],
        }
    }
}

/// What it held at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) at: Duration,
    memory: u64,
    fds: u64,
    threads: u64,
    maps: u64,
}

impl Held {
    /// One that differs from others only in threads.
    #[cfg(test)]
    pub(crate) fn threads_at(at: Duration, threads: u64) -> Self {
        Self {
            at,
            memory: 0,
            fds: 0,
            threads,
            maps: 0,
        }
    }

    pub(crate) fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Fd => self.fds,
            Resource::Thread => self.threads,
            Resource::Maps => self.maps,
        }
    }
}

/// A program in one form. Dropping it ends it.
pub(crate) struct Running {
    pub(crate) case: Case,
    pub(crate) form: Form,
    pub(crate) started: Instant,
    child: Child,
    log: PathBuf,
    held: Vec<Held>,
}

impl Running {
    /// Starts it, with its files in `dir`, under a load that ends by itself after `seconds`.
    pub(crate) fn start(case: Case, form: Form, built: &Built, dir: &Path, seconds: u64) -> Result<Self> {
        let dir = dir.join(format!("{}-{}-{}", case.name, case.rate, form.name()));
        fs::create_dir_all(&dir)?;
        let log = dir.join("log");
        let mut command = built.command();
        let child = command
            .args([form.name(), &seconds.to_string(), &case.rate.to_string()])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self {
            case,
            form,
            started: Instant::now(),
            child,
            log,
            held: Vec::new(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads what it holds now; an error if it has ended.
    pub(crate) fn read(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let complaints = fs::read_to_string(&self.log).unwrap_or_default();
            bail!(
                "{} ({}) ended with {status}: {complaints}",
                self.case.name,
                self.form.name()
            );
        }
        let at = self.started.elapsed();
        let truth = Truth::read(self.pid())?.context("it has just been there")?;
        let memory = truth.memory.context("no memory")?;
        self.held.push(Held {
            at,
            memory: memory.rss_anon_bytes + memory.swap_bytes,
            fds: truth.fds().into(),
            threads: truth.threads.into(),
            maps: memory.maps.into(),
        });
        Ok(())
    }

    /// What it held, oldest first.
    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}
