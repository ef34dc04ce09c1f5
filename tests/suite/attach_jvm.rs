//! `explain --attach` of a JVM: it is asked for what it can reach, says the same as `jmap`, and goes on; one that would be ended
//! by the question, or does not listen, is not asked, and the page comes all the same.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::{binary, java};
use serde_json::Value;

const LEAK: &str = "Sessions$Session";
/// It leaks 500 sessions ten times a second, as long as it has a processor.
const AT_LEAST: i64 = 5000;
const OLDEST_AND_NEWEST: [&str; 2] = ["11", "25"];
/// Until a JVM has loaded its classes.
const STARTS_WITHIN: Duration = Duration::from_secs(3);

/// A running program; dropping it ends it.
struct Java(Child);

impl Java {
    fn start(java: &Path, options: &[&str], mode: &str, classes: &Path) -> Result<Self> {
        let mut command = Command::new(java);
        command
            .args(options)
            .arg("-cp")
            .arg(classes)
            .args(["Sessions", mode]);
        let child = Self(command.spawn().context("no java: cargo xtask setup --tests")?);
        sleep(STARTS_WITHIN);
        Ok(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn explained(&self) -> Result<Output> {
        let arguments = ["explain", "--attach", "-d", "8s", "-o", "json", "-p"];
        binary::run(
            &binary::leakwatch()?,
            arguments.into_iter().chain([self.pid().as_str()]),
        )
    }

    fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _already_reaped = self.0.wait();
    }
}

#[test]
fn what_leaks_became_most_and_the_program_goes_on() -> Result<()> {
    let classes = java::classes("Sessions.java")?;
    for release in OLDEST_AND_NEWEST {
        let java = java::release(release)?;
        let mut leaky = Java::start(&java, &[], "leaky", classes.path())?;
        let output = leaky.explained()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        let acts = format!(
            "--attach acts on process {}: it collects its whole heap",
            leaky.pid()
        );
        ensure!(said.contains(&acts), "{said}");
        let page: Value = serde_json::from_slice(&output.stdout)?;
        let first = &page["answers"]["differences"][0];
        ensure!(first["name"] == LEAK, "{}: {}", java.display(), page["answers"]);
        ensure!(first["more"].as_i64() >= Some(AT_LEAST), "{first}");
        println!("{}: {first}, {}", java.display(), page["answers"]["took_seconds"]);
        ensure!(leaky.is_running()?, "it ended");
        let request = format!("/tmp/.attach_pid{}", leaky.pid());
        ensure!(!fs::exists(&request)?, "{request} was left behind");

        let fixed = Java::start(&java, &[], "fixed", classes.path())?;
        let page: Value = serde_json::from_slice(&fixed.explained()?.stdout)?;
        let differences = page["answers"]["differences"].as_array().context("no answers")?;
        ensure!(!differences.is_empty());
        ensure!(
            differences
                .iter()
                .all(|of| of["name"] != LEAK || of["count"] == 1),
            "{differences:?}"
        );
    }
    Ok(())
}

#[test]
fn who_would_be_ended_or_does_not_listen_is_said() -> Result<()> {
    let classes = java::classes("Sessions.java")?;
    let deaf = "-XX:+DisableAttachMechanism";
    for (options, why) in [
        (
            &["-Xrs", deaf][..],
            "it does not handle signal 3, which would end it",
        ),
        (&[deaf], "it does not listen"),
    ] {
        let mut java = Java::start(Path::new("java"), options, "leaky", classes.path())?;
        let output = java.explained()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let page: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(page["answers"].is_null(), "{}", page["answers"]);
        ensure!(
            page["unread"].to_string().contains(why),
            "{options:?}: {}",
            page["unread"]
        );
        ensure!(java.is_running()?, "{options:?}: it ended");
    }
    Ok(())
}
