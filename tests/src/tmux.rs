//! A terminal that a test types into and reads.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// How long a screen may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A shell in a terminal of its own; dropping it ends both.
pub struct Terminal {
    /// Name of the tmux server, so that no other session is touched.
    server: String,
}

impl Terminal {
    /// Starts a shell in a terminal of this size.
    pub fn start(columns: u16, rows: u16) -> Result<Self> {
        let terminal = Self {
            server: format!("leakwatch-test-{}", std::process::id()),
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let shell = "env PS1='ready> ' LC_ALL=C.UTF-8 sh";
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            shell,
        ])?;
        terminal.wait_for("ready>")?;
        Ok(terminal)
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    /// Presses a key by tmux's name for it.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        self.tmux(&[
            "resize-window",
            "-x",
            &columns.to_string(),
            "-y",
            &rows.to_string(),
        ])
        .map(drop)
    }

    /// What is on the screen.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The value of a tmux format, such as `#{alternate_on}`.
    pub fn state(&self, format: &str) -> Result<String> {
        Ok(self.tmux(&["display-message", "-p", format])?.trim().to_owned())
    }

    /// Waits until the screen shows `text` and returns it.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        self.wait_until(&format!("`{text}`"), |screen| screen.contains(text))
    }

    /// Waits until the screen is as wanted and returns it.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen()?;
            if wanted(&screen) {
                return Ok(screen);
            }
            if Instant::now() > deadline {
                bail!("no {what} on the screen after {PATIENCE:?}:\n{screen}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("tmux")
            .args(["-L", &self.server])
            .args(arguments)
            .output()
            .context("cannot run tmux: apt-get install tmux")?;
        ensure!(
            output.status.success(),
            "tmux {arguments:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A server whose shell has ended is gone already.
        let _already_ended = self.tmux(&["kill-server"]);
    }
}
