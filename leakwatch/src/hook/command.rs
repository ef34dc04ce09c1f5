//! A command that is told on its standard input.

use std::{
    env, io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// Used when there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a command finds in its environment, when leakwatch has it; `PATH` in any case.
const KEPT: [&str; 3] = ["HOME", "LANG", "TMPDIR"];

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("sh: {0}")]
    Start(#[source] io::Error),
    #[error("waiting for it: {0}")]
    Wait(#[source] io::Error),
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    #[error("killed after {0:?}")]
    TooLong(Duration),
}

/// Kills a process group when dropped; a command that is given up takes what it started with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // All of it may have ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs `command` with `sh -c` in a process group of its own, with `document` on its standard input. What it writes goes to
/// standard error. `started` gets its pid.
pub(super) async fn run(
    command: &str,
    document: Vec<u8>,
    most: Duration,
    started: impl FnOnce(u32),
) -> Result<(), CommandError> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).process_group(0).kill_on_drop(true);
    shell
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    shell.envs(KEPT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    shell.stdin(Stdio::piped()).stdout(io::stderr());
    let mut child = shell.spawn().map_err(CommandError::Start)?;
    let pid = child.id();
    pid.map(started);
    let mut group = Group(pid.and_then(|pid| Pid::from_raw(pid.cast_signed())));
    let stdin = child.stdin.take();
    // A command need not read, and what it leaves running may hold the other end.
    let feeding = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&document).await;
        }
    });
    let waited = timeout(most, child.wait()).await;
    feeding.abort();
    let Ok(status) = waited else {
        drop(group);
        // Reaps it.
        let _ = child.wait().await;
        return Err(CommandError::TooLong(most));
    };
    group.0 = None;
    let status = status.map_err(CommandError::Wait)?;
    if status.success() {
        Ok(())
    } else {
        Err(CommandError::Failed(status))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, Instant},
    };

    use super::{CommandError, run};

    fn block<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(future)
    }

    #[test]
    fn it_gets_the_document_and_little_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("out");
        let command = format!("cat > {0}; env | sort >> {0}", out.display());
        let mut pid = 0;
        let document = b"{\"pid\":1}\n".to_vec();
        block(run(&command, document, Duration::from_secs(10), |started| {
            pid = started;
        }))
        .expect("it runs");
        let out = fs::read_to_string(out).expect("it wrote");
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("{\"pid\":1}"));
        let known = ["HOME", "LANG", "TMPDIR", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        for line in lines {
            let name = line.split('=').next().unwrap_or_default();
            assert!(known.contains(&name), "{line}");
        }
        assert!(pid > 0);
    }

    #[test]
    fn it_may_ignore_what_it_is_told() {
        let large = vec![b' '; 1 << 20];
        let started = Instant::now();
        block(run("exit 0", large.clone(), Duration::from_secs(10), |_| {})).expect("it runs");
        // What stays behind holds the pipe, and is nobody's business.
        block(run("sleep 2 & exit 0", large, Duration::from_secs(10), |_| {})).expect("it runs");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "nobody waits for a reader"
        );
    }

    #[test]
    fn failure_is_told() {
        let failed = block(run("exit 3", Vec::new(), Duration::from_secs(10), |_| {}));
        assert!(matches!(failed, Err(CommandError::Failed(status)) if status.code() == Some(3)));
    }

    #[test]
    fn what_takes_too_long_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let pids = dir.path().join("pids");
        let command = format!("sleep 77 & echo $! > {}; wait", pids.display());
        let killed = block(run(&command, Vec::new(), Duration::from_millis(500), |_| {}));
        assert!(matches!(killed, Err(CommandError::TooLong(_))));
        let pid = fs::read_to_string(pids).expect("it wrote");
        let status = format!("/proc/{}/cmdline", pid.trim());
        let deadline = Instant::now() + Duration::from_secs(10);
        // A zombie has no command line.
        while fs::read_to_string(&status).is_ok_and(|line| line.contains("77")) {
            assert!(Instant::now() < deadline, "process {pid} still runs");
        }
    }
}
