//! The live screen.
//!
//! [`app`] is the state and says what each [`action`] does to it, [`keys`] which key means which action, `view` draws
//! the state; only `run` touches the terminal.

pub mod action;
pub mod app;
pub mod areas;
pub mod history;
pub mod keys;
mod prompt;
mod run;
mod terminal;
mod theme;
mod view;

pub use run::{TopError, replay, run};
pub use theme::Theme;

use super::rows::RowSelection;

/// What the screen begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct TopOptions {
    /// Which processes, in which order.
    pub rows: RowSelection,
    /// Whether the descriptors of every process are told apart by kind; without it only those of the processes asked for
    /// by pid, and of the one whose details are open.
    pub fd_kinds_of_all: bool,
    /// What the terminal can show.
    pub theme: Theme,
}
