//! Containers: leakwatch inside one sees the host, and a process inside one is shown with its container.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::Snapshot;
use leakwatch_tests::{
    binary,
    container::{Bundle, Container, ID},
    holder::Holder,
    truth::Truth,
};

#[test]
fn in_a_container_with_the_hosts_pids_it_sees_the_host() -> Result<()> {
    let Some(bundle) = Bundle::new()? else {
        return Ok(());
    };
    let leakwatch = binary::leakwatch()?;
    bundle.add_program(&leakwatch, "bin/leakwatch")?;
    let holder = Holder::start("host-holder")?;
    bundle.configure(
        &["/bin/leakwatch", "top", "--once", "-o", "json"],
        &["pid", "cgroup"],
    )?;
    let name = format!("leakwatch-host-{}", std::process::id());
    let output = bundle.run(&name)?;
    ensure!(
        output.status.success(),
        "leakwatch in a container ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let snapshot: Snapshot = serde_json::from_slice(&output.stdout)?;
    let row = snapshot
        .processes
        .iter()
        .find(|row| row.id.pid == holder.pid())
        .context("the host is not seen")?;
    let truth = Truth::read(holder.pid())?.context("the holder is gone")?;
    ensure!(
        row.name == "host-holder" && row.fds == truth.fds() && row.threads == 1,
        "{row:?}"
    );
    Ok(())
}

#[test]
fn a_process_in_a_container_is_shown_with_its_id() -> Result<()> {
    let Some(bundle) = Bundle::new()? else {
        return Ok(());
    };
    bundle.configure(&["/bin/busybox", "sleep", "600"], &[])?;
    let container = Container::start(&bundle)?;
    let pid = container.pid()?;
    thread::sleep(Duration::from_millis(200));
    let snapshot: Snapshot = serde_json::from_slice(&binary::stdout(
        &binary::leakwatch()?,
        ["top", "--once", "-o", "json"],
    )?)?;
    let row = snapshot
        .processes
        .iter()
        .find(|row| row.id.pid == pid)
        .context("the process is not there")?;
    ensure!(
        row.container_id.as_deref() == Some(ID),
        "container_id is {:?}",
        row.container_id
    );
    let own = snapshot
        .processes
        .iter()
        .find(|row| row.id.pid == std::process::id())
        .context("no row for this test")?;
    ensure!(
        own.container_id.as_deref() != Some(ID),
        "this test is not in that container"
    );
    Ok(())
}
