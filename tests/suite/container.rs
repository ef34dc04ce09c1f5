//! Containers: leakwatch inside one sees the host, and a process inside one is shown with its container.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::Snapshot;
use leakwatch_tests::{binary, holder::Holder, package, truth::Truth};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What container engines give out.
const ID: &str = "5f0e1d2c3b4a59687766554433221100ffeeddccbbaa99887766554433221100";

#[test]
fn in_a_container_with_the_hosts_pids_it_sees_the_host() -> Result<()> {
    let Some(bundle) = Bundle::new()? else {
        return Ok(());
    };
    let leakwatch = binary::leakwatch()?;
    bundle.add(&leakwatch, "bin/leakwatch")?;
    for library in libraries(&leakwatch)? {
        bundle.add(&library, library.strip_prefix("/")?)?;
    }
    let holder = Holder::start("host-holder")?;
    bundle.configure(
        &["/bin/leakwatch", "top", "--once", "-o", "json"],
        &["pid", "cgroup"],
    )?;
    let name = format!("leakwatch-host-{}", std::process::id());
    let output = Command::new(&bundle.runc)
        .args(["run", &name])
        .current_dir(bundle.dir.path())
        .output()?;
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

/// An OCI bundle with busybox in it.
struct Bundle {
    runc: PathBuf,
    dir: TempDir,
}

impl Bundle {
    fn new() -> Result<Option<Self>> {
        let (Some(runc), Some(busybox)) = (
            package::find("runc", "runc")?,
            package::find("busybox", "busybox-static")?,
        ) else {
            return Ok(None);
        };
        let bundle = Self {
            runc,
            dir: tempfile::tempdir()?,
        };
        for dir in ["bin", "proc", "sys", "dev", "tmp", "run", "etc"] {
            fs::create_dir_all(bundle.root().join(dir))?;
        }
        bundle.add(&busybox, "bin/busybox")?;
        Ok(Some(bundle))
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    fn add(&self, file: &Path, at: impl AsRef<Path>) -> Result<()> {
        let to = self.root().join(at);
        fs::create_dir_all(to.parent().context("no parent")?)?;
        fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Starts from runc's own template. `shared`: namespaces that are the host's.
    fn configure(&self, arguments: &[&str], shared: &[&str]) -> Result<()> {
        binary::stdout(
            &self.runc,
            ["spec".as_ref(), "--bundle".as_ref(), self.dir.path().as_os_str()],
        )?;
        let path = self.dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(arguments);
        // Privileged: whatever this test itself may do.
        let own = own_capabilities()?;
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(own);
        }
        // As dockerd lays it out with cgroupfs.
        config["linux"]["cgroupsPath"] = json!(format!("/docker/{ID}"));
        let namespaces = config["linux"]["namespaces"]
            .as_array_mut()
            .context("no namespaces")?;
        namespaces.retain(|namespace| {
            namespace["type"]
                .as_str()
                .is_none_or(|kind| !shared.contains(&kind))
        });
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
        fs::write(path, serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }
}

/// A container that runs in the background; dropping it deletes it.
struct Container<'a> {
    bundle: &'a Bundle,
    name: String,
}

impl<'a> Container<'a> {
    fn start(bundle: &'a Bundle) -> Result<Self> {
        let name = format!("leakwatch-member-{}", std::process::id());
        let status = Command::new(&bundle.runc)
            .args(["run", "--detach", &name])
            .current_dir(bundle.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "runc run ended with {status}");
        Ok(Self { bundle, name })
    }

    fn pid(&self) -> Result<u32> {
        let state: Value =
            serde_json::from_slice(&binary::stdout(&self.bundle.runc, ["state", &self.name])?)?;
        Ok(u32::try_from(state["pid"].as_u64().context("no pid")?)?)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _already_gone = Command::new(&self.bundle.runc)
            .args(["delete", "--force", &self.name])
            .status();
    }
}

/// The shared libraries of a program, none of a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect())
}

/// Names of the capabilities this process has, as runc wants them.
fn own_capabilities() -> Result<Vec<String>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .context("no CapEff in status")?;
    let bits = u64::from_str_radix(line.trim(), 16)?;
    Ok(CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect())
}

/// By bit (include/uapi/linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];
