//! Source files of this repository.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::Shell;

/// The Rust files below `directory`, relative to the repository, in order.
pub(super) fn rust(sh: &Shell, directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in sh.read_dir(directory)? {
        if sh.current_dir().join(&path).is_dir() {
            files.extend(rust(sh, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
