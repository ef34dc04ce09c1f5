//! The log: stderr, warnings by default, `LEAKWATCH_LOG` for anything finer.

use clap::ColorChoice;
use env_logger::{Builder, Env, WriteStyle};
use log::LevelFilter;

/// Starts logging.
pub(super) fn init(verbose: u8, color: ColorChoice) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let style = match color {
        ColorChoice::Auto => WriteStyle::Auto,
        ColorChoice::Always => WriteStyle::Always,
        ColorChoice::Never => WriteStyle::Never,
    };
    Builder::new()
        .filter_level(level)
        .parse_env(Env::new().filter("LEAKWATCH_LOG"))
        .write_style(style)
        .init();
}
