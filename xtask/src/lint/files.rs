//! Source files of this repository.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::Shell;

/// The Rust files below `directory`, with their paths in the repository, in order.
pub(super) fn rust(sh: &Shell, directory: &Path) -> Result<Vec<PathBuf>> {
    let repository = sh.current_dir();
    let mut files = Vec::new();
    for path in sh.read_dir(directory)? {
        if path.is_dir() {
            files.extend(rust(sh, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(&repository).unwrap_or(&path).to_path_buf());
        }
    }
    files.sort();
    Ok(files)
}
