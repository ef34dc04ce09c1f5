//! A report, not a check: how long files are and how much of them is comment. 80 to 200 lines are the norm; a file over
//! [`LOOK_AGAIN`] is named.

use std::path::Path;

use anyhow::Result;
use xshell::Shell;

use super::files;

const SOURCES: &[&str] = &[
    "leakwatch/src",
    "leakwatch-common/src",
    "leakwatch-ebpf/src",
    "tests",
    "xtask/src",
];
/// Lines above which a file is named.
const LOOK_AGAIN: usize = 400;

pub(super) fn report(sh: &Shell) -> Result<()> {
    println!(
        "{:<22}{:>6}{:>8}{:>8}{:>9}{:>9}",
        "sources", "files", "lines", "median", "longest", "comment"
    );
    let mut long = Vec::new();
    for directory in SOURCES {
        let (mut sizes, mut comments) = (Vec::new(), 0);
        for file in files::rust(sh, Path::new(directory))? {
            let text = sh.read_file(&file)?;
            let lines = text.lines().count();
            comments += text
                .lines()
                .filter(|line| line.trim_start().starts_with("//"))
                .count();
            sizes.push(lines);
            if lines > LOOK_AGAIN {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
        sizes.sort_unstable();
        let total: usize = sizes.iter().sum();
        let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
        let longest = sizes.last().copied().unwrap_or(0);
        let comment = comments * 100 / total.max(1);
        println!(
            "{directory:<22}{:>6}{total:>8}{median:>8}{longest:>9}{comment:>8}%",
            sizes.len()
        );
    }
    for line in long {
        println!("look again: {line}");
    }
    Ok(())
}
