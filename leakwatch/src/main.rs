//! The `leakwatch` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    leakwatch::cli::run()
}
