//! Where an interpreter or a compiler is.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::manifest::Interpreter;

/// Its path; `None` when this machine does not have it.
pub(crate) fn find(interpreter: &Interpreter) -> Option<PathBuf> {
    let patterns = std::iter::once(&interpreter.command).chain(&interpreter.find);
    patterns.into_iter().find_map(|pattern| locate(pattern))
}

fn locate(pattern: &str) -> Option<PathBuf> {
    if !pattern.contains('/') {
        let path = env::var_os("PATH")?;
        let found = env::split_paths(&path).map(|dir| dir.join(pattern));
        // A shim is a script that looks for the program itself.
        return found
            .filter(|path| path.is_file() && !is_script(path))
            .find_map(|path| fs::canonicalize(path).ok());
    }
    let home = env::var("HOME").unwrap_or_default();
    let pattern = pattern.replace('~', &home);
    let mut found = vec![PathBuf::from("/")];
    if !pattern.starts_with('/') {
        found = vec![repository()];
    }
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found.iter().flat_map(|dir| matching(dir, part)).collect();
    }
    found.into_iter().rfind(|path| path.is_file())
}

/// Entries of a directory that fit a name with at most one `*`, in ascending order.
fn matching(dir: &Path, part: &str) -> Vec<PathBuf> {
    let Some((before, after)) = part.split_once('*') else {
        let path = dir.join(part);
        return path.exists().then_some(path).into_iter().collect();
    };
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn is_script(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!"))
}

fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{locate, matching};

    #[test]
    fn by_name_and_by_pattern() {
        assert!(locate("sh").is_some());
        assert_eq!(locate("no-such-program"), None);
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["go1.19.8", "go1.21.0", "go1.21.13", "other"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let found = matching(dir.path(), "go1.21.*");
        assert_eq!(found.len(), 2);
        assert!(found[1].ends_with("go1.21.13"));
        assert!(matching(dir.path(), "go1.30*").is_empty());
        fs::write(dir.path().join("go1.21.13/go"), "").expect("a file");
        let pattern = format!("{}/go1.21.*/go", dir.path().display());
        assert_eq!(locate(&pattern), Some(dir.path().join("go1.21.13/go")));
    }
}
