//! `leakwatch doctor` on this host: every check has a verdict, and every probe was really tried.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, process::Command,
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::Snapshot;
use leakwatch_tests::binary;
use serde_json::Value;

/// `nobody` on every Linux.
const NOBODY: u32 = 65_534;

#[test]
fn its_document_and_its_exit_code_agree() -> Result<()> {
    let output = binary::run(&binary::leakwatch()?, ["doctor", "-o", "json"])?;
    let document: Value = serde_json::from_slice(&output.stdout).context("not JSON")?;
    let code = match document["verdict"].as_str() {
        Some("ok") => 0,
        Some("degraded") => 1,
        Some("cannot_run") => 3,
        other => anyhow::bail!("verdict is {other:?}"),
    };
    ensure!(
        output.status.code() == Some(code),
        "ended with {} at {}",
        output.status,
        document["verdict"]
    );
    let checks = document["checks"].as_array().context("no checks")?;
    ensure!(checks.len() >= 5, "only {} checks", checks.len());
    for check in checks {
        let status = check["status"].as_str().context("no status")?;
        ensure!(["PASS", "WARN", "FAIL"].contains(&status), "{check}");
        ensure!(
            status == "PASS" || check["lost"].is_string(),
            "nothing is lost by {check}"
        );
    }
    Ok(())
}

/// Probes can be loaded here: the other suites do it.
#[test]
fn it_tries_the_probes_that_top_attaches() -> Result<()> {
    let binary = binary::leakwatch()?;
    let output = binary::run(&binary, ["doctor", "-o", "json"])?;
    ensure!(
        matches!(output.status.code(), Some(0 | 1)),
        "ended with {}",
        output.status
    );
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let tried = names(document["probes"].as_array().context("no probes")?);
    let snapshot: Snapshot =
        serde_json::from_slice(&binary::stdout(&binary, ["top", "--once", "-o", "json"])?)?;
    let attached: BTreeSet<String> = snapshot
        .health
        .probes
        .iter()
        .map(|probe| probe.name.clone())
        .collect();
    ensure!(
        !attached.is_empty() && tried.is_superset(&attached),
        "doctor tried {tried:?}, top has {attached:?}"
    );
    Ok(())
}

#[test]
fn without_rights_it_names_the_capabilities() -> Result<()> {
    // Where the build is may not be open to everybody.
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    let copy = dir.path().join("leakwatch");
    fs::copy(binary::leakwatch()?, &copy)?;
    let output = Command::new(&copy)
        .arg("doctor")
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()?;
    let report = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.code() == Some(3),
        "ended with {}: {report}",
        output.status
    );
    ensure!(report.contains("FAIL") && report.contains("CAP_BPF"), "{report}");
    ensure!(report.contains("sudo"), "no command that fixes it:\n{report}");
    Ok(())
}

fn names(probes: &[Value]) -> BTreeSet<String> {
    probes
        .iter()
        .filter_map(|probe| Some(probe["name"].as_str()?.to_owned()))
        .collect()
}
