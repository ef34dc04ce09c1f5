//! The command line: one file per verb. What was typed becomes plain values here; nothing behind knows clap.

pub mod top;
