//! Interpreters of Python that are at hand.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// One of a minor version: on the PATH, or among those that pyenv keeps.
pub fn interpreter(version: &str) -> Option<PathBuf> {
    let name = format!("python{version}");
    of_pyenv(version)
        .map(|root| root.join("bin").join(&name))
        .into_iter()
        .chain(on_path(&name))
        .find(|path| path.is_file())
}

fn on_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // pyenv's own are scripts that start one of its versions, or none.
        .filter(|dir| !dir.ends_with("shims"))
        .map(|dir| dir.join(name))
        .collect()
}

/// Where pyenv keeps that version.
fn of_pyenv(version: &str) -> Option<PathBuf> {
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".pyenv"))
    })?;
    let versions = fs::read_dir(root.join("versions")).ok()?;
    let prefix = format!("{version}.");
    versions.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    })
}
