//! How well and how fast copied stacks of real programs are unwound, beside frame pointers on the same copies.

mod report;

use std::{collections::BTreeMap, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::{
    binary,
    load::{Program, http, java, nginx, node, postgres, python},
};
use serde::Deserialize;

/// Samples of each program.
const SAMPLES: usize = 2_000;
const QUICK_SAMPLES: usize = 50;

/// How long each program is kept busy.
const LOADED: Duration = Duration::from_secs(15);
/// By when there must be enough samples.
const DEADLINE: Duration = Duration::from_mins(1);

/// How `stack_samples` did on one program (see `leakwatch/examples/stack_samples`).
#[derive(Deserialize)]
struct Samples {
    ends: BTreeMap<String, u64>,
    gone: u64,
    dropped: u64,
    nanoseconds: Vec<u64>,
    frames: Vec<usize>,
    frames_by_frame_pointers: Vec<usize>,
    complete: Vec<(usize, usize)>,
    cache_bytes: usize,
    stacks: usize,
    modules: usize,
}

/// Starts a program; `None` where it is missing.
type Start = fn() -> Result<Option<Program>>;

const PROGRAMS: [(&str, Start); 5] = [
    ("nginx", nginx::start),
    ("PostgreSQL", postgres::start),
    ("Python", python::start),
    ("Node.js", node::start),
    ("Java", java::start),
];

/// Measures and returns the report.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let count = if quick { QUICK_SAMPLES } else { SAMPLES };
    let mut rows = Vec::new();
    for (name, start) in PROGRAMS {
        eprint!("\r{name:<20}");
        if let Some(program) = start()? {
            rows.push((
                name,
                sample(name, program, count).with_context(|| name.to_owned())?,
            ));
        }
    }
    eprintln!();
    Ok(report::render(&rows))
}

fn sample(name: &'static str, program: Program, count: usize) -> Result<Samples> {
    let pid = program.pids()?.first().copied().context("no process")?;
    let load = thread::spawn(move || load(name, &program));
    let sampler = binary::leakwatch()?
        .with_file_name("examples")
        .join("stack_samples");
    let output = Command::new(&sampler)
        .args(["--of", &pid.to_string(), "--count", &count.to_string()])
        .args(["--seconds", &DEADLINE.as_secs().to_string()])
        .output()
        .with_context(|| format!("cannot run {}", sampler.display()))?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        sampler.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    load.join().ok().context("the load panicked")??;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Keeps it busy for [`LOADED`].
fn load(name: &str, program: &Program) -> Result<()> {
    if name == "PostgreSQL" {
        postgres::load(program, LOADED)?.context("no pgbench")
    } else {
        http::load(program.address(), LOADED).map(drop)
    }
}
