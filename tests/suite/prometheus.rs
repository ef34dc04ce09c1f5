//! `/metrics` as Prometheus itself reads it.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use leakwatch_tests::{
    agent::{Agent, free_address},
    binary,
    holder::Holder,
    package,
    truth::Truth,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn promtool_finds_nothing_to_say() -> Result<()> {
    let Some(promtool) = package::find("promtool", "prometheus")? else {
        return Ok(());
    };
    let agent = start_agent()?;
    let metrics = agent.get("/metrics")?;
    ensure!(
        metrics.contains("leakwatch_open_fds{"),
        "no descriptors in it:\n{metrics}"
    );
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    check
        .stdin
        .take()
        .context("no pipe")?
        .write_all(metrics.as_bytes())?;
    let output = check.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.trim().is_empty(),
        "promtool ended with {}: {said}",
        output.status
    );
    agent.stop(Signal::TERM)
}

#[test]
fn the_content_type_is_prometheus_own() -> Result<()> {
    let agent = start_agent()?;
    let answer = ureq::get(format!("http://{}/metrics", agent.address())).call()?;
    let content_type = answer
        .headers()
        .get("content-type")
        .context("no content type")?
        .to_str()?;
    ensure!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "content type is {content_type}"
    );
    agent.stop(Signal::TERM)
}

#[test]
fn prometheus_answers_for_the_descriptors_of_a_process() -> Result<()> {
    let Some(binary) = package::find("prometheus", "prometheus")? else {
        return Ok(());
    };
    let agent = start_agent()?;
    let holder = Holder::start("prom-holder")?;
    let server = Prometheus::start(&binary, agent.address())?;
    let open = server.wait_for("leakwatch_open_fds{process=\"prom-holder\"}", |value| {
        value.is_some()
    })?;
    let truth = Truth::read(holder.pid())?.context("the holder is gone")?;
    ensure!(
        open == Some(f64::from(truth.fds())),
        "Prometheus says {open:?}, /proc says {}",
        truth.fds()
    );

    drop(holder);
    // An exited process leaves no series: Prometheus marks them stale at the next scrape.
    server.wait_for("leakwatch_open_fds{process=\"prom-holder\"}", |value| {
        value.is_none()
    })?;
    let metrics = agent.get("/metrics")?;
    ensure!(
        !metrics.contains("prom-holder"),
        "an exited process is still in /metrics"
    );
    ensure!(!metrics.contains("pid="), "a pid is in a label");
    drop(server);
    agent.stop(Signal::TERM)
}

fn start_agent() -> Result<Agent> {
    Agent::start::<&str>(&binary::leakwatch()?, [], PATIENCE)
}

/// A Prometheus that scrapes one target every second; dropping it ends it.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Prometheus {
    fn start(binary: &Path, target: SocketAddr) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let address = free_address()?;
        let config = dir.path().join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s}}\n\
                 scrape_configs:\n\
                 - job_name: leakwatch\n  static_configs:\n  - targets: ['{target}']\n"
            ),
        )?;
        let child = Command::new(binary)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .spawn()
            .context("cannot run prometheus")?;
        Ok(Self {
            child,
            address,
            _dir: dir,
        })
    }

    /// Asks until the answer is as wanted: the value of the only series, if there is one.
    fn wait_for(&self, query: &str, wanted: impl Fn(Option<f64>) -> bool) -> Result<Option<f64>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.query(query);
            if let Ok(value) = answer
                && wanted(value)
            {
                return Ok(value);
            }
            if Instant::now() > deadline {
                bail!("Prometheus still answers {answer:?} to {query}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn query(&self, query: &str) -> Result<Option<f64>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let text = ureq::get(url)
            .query("query", query)
            .call()?
            .into_body()
            .read_to_string()?;
        let answer: Value = serde_json::from_str(&text)?;
        ensure!(answer["status"] == "success", "{text}");
        match answer["data"]["result"]
            .as_array()
            .context("no result")?
            .as_slice()
        {
            [] => Ok(None),
            [series] => Ok(Some(series["value"][1].as_str().context("no value")?.parse()?)),
            _ => bail!("more than one series: {text}"),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}
