//! The terminal while the screen is on it. However the screen ends, the terminal is left as it was found.

use std::io::{self, stdout};

use crossterm::{
    execute,
    terminal::{EnterAlternateScreen, enable_raw_mode},
};
use ratatui::DefaultTerminal;

/// Restores the terminal when dropped. A panic restores it before its message is printed.
pub(super) struct TerminalGuard {
    terminal: DefaultTerminal,
}

impl TerminalGuard {
    /// Takes the terminal.
    pub(super) fn new() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // Raw mode may be on already; that there is nothing to restore is no second error.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// The terminal to draw on.
    pub(super) fn get(&mut self) -> &mut DefaultTerminal {
        &mut self.terminal
    }

    /// Gives the terminal back, lets `pause` stop this process, and takes the terminal again.
    pub(super) fn lend(&mut self, pause: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.terminal.show_cursor()?;
        ratatui::try_restore()?;
        let paused = pause();
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen)?;
        self.terminal.clear()?;
        paused
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        // Neither can be helped when the terminal is gone.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
