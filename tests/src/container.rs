//! Containers with a root and namespaces of their own, by runc.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary, package};

/// What container engines give out.
pub const ID: &str = "5f0e1d2c3b4a59687766554433221100ffeeddccbbaa99887766554433221100";

/// An OCI bundle with busybox in it.
pub struct Bundle {
    runc: PathBuf,
    dir: TempDir,
    id: String,
}

impl Bundle {
    /// An empty one; `None` where runc or busybox is missing.
    pub fn new() -> Result<Option<Self>> {
        Self::with_id(ID)
    }

    /// The same for a container with this id.
    pub fn with_id(id: impl Into<String>) -> Result<Option<Self>> {
        let (Some(runc), Some(busybox)) = (
            package::find("runc", "runc")?,
            package::find("busybox", "busybox-static")?,
        ) else {
            return Ok(None);
        };
        let bundle = Self {
            runc,
            dir: tempfile::tempdir()?,
            id: id.into(),
        };
        for dir in ["bin", "proc", "sys", "dev", "tmp", "run", "etc"] {
            fs::create_dir_all(bundle.root().join(dir))?;
        }
        bundle.add(&busybox, "bin/busybox")?;
        Ok(Some(bundle))
    }

    /// The root directory of its processes.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Copies `file` into its root.
    pub fn add(&self, file: &Path, at: impl AsRef<Path>) -> Result<()> {
        let to = self.root().join(at);
        fs::create_dir_all(to.parent().context("no parent")?)?;
        fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Copies a program and the shared libraries that it needs.
    pub fn add_program(&self, program: &Path, at: impl AsRef<Path>) -> Result<()> {
        self.add(program, at)?;
        for library in libraries(program)? {
            self.add(&library, library.strip_prefix("/")?)?;
        }
        Ok(())
    }

    /// Runs it to its end.
    pub fn run(&self, name: &str) -> Result<Output> {
        Command::new(&self.runc)
            .args(["run", name])
            .current_dir(self.dir.path())
            .output()
            .context("cannot run runc")
    }

    /// Shows a directory of the host under the same path in it, read-only. After [`Bundle::configure`].
    pub fn mount(&self, path: &Path) -> Result<()> {
        self.change(|config| {
            let mounts = config["mounts"].as_array_mut().context("no mounts")?;
            mounts.push(json!({
                "destination": path,
                "source": path,
                "type": "bind",
                "options": ["rbind", "ro"],
            }));
            Ok(())
        })
    }

    /// Its root can be written to, as container engines have it, and it may have so many descriptors. After
    /// [`Bundle::configure`].
    pub fn relax(&self, descriptors: u64) -> Result<()> {
        self.change(|config| {
            config["root"]["readonly"] = json!(false);
            config["process"]["rlimits"] =
                json!([{ "type": "RLIMIT_NOFILE", "hard": descriptors, "soft": descriptors }]);
            Ok(())
        })
    }

    fn change(&self, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
        let file = self.dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
        change(&mut config)?;
        fs::write(file, serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }

    /// Starts from runc's own template. `shared`: namespaces that are the host's.
    pub fn configure(&self, arguments: &[&str], shared: &[&str]) -> Result<()> {
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
        config["linux"]["cgroupsPath"] = json!(format!("/docker/{}", self.id));
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
pub struct Container<'a> {
    bundle: &'a Bundle,
    name: String,
}

impl<'a> Container<'a> {
    /// Starts it.
    pub fn start(bundle: &'a Bundle) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("leakwatch-member-{}-{number}", std::process::id());
        let log = bundle.dir.path().join("log");
        let status = Command::new(&bundle.runc)
            .args(["run", "--detach", &name])
            .current_dir(bundle.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .status()?;
        let container = Self { bundle, name };
        ensure!(
            status.success(),
            "runc run ended with {status}: {}",
            container.complaints()
        );
        Ok(container)
    }

    /// An error if its first process has ended, with what it complained of.
    pub fn ensure_runs(&self) -> Result<()> {
        let state = self.state()?;
        let status = state["status"].as_str().unwrap_or_default();
        ensure!(status == "running", "it is {status}: {}", self.complaints());
        Ok(())
    }

    fn complaints(&self) -> String {
        fs::read_to_string(self.bundle.dir.path().join("log")).unwrap_or_default()
    }

    fn state(&self) -> Result<Value> {
        let state = binary::stdout(&self.bundle.runc, ["state", &self.name])?;
        Ok(serde_json::from_slice(&state)?)
    }

    /// Its first process, as the host counts.
    pub fn pid(&self) -> Result<u32> {
        Ok(u32::try_from(self.state()?["pid"].as_u64().context("no pid")?)?)
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
