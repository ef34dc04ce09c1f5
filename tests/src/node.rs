//! The releases of node of this machine.

use std::{fs, path::PathBuf};

use anyhow::Result;

use crate::{binary, package};

/// The one on `PATH`, and those that `cargo xtask setup --tests` puts into `target/nodes`.
pub fn releases() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = package::find("node", "nodejs")?.into_iter().collect();
    if let Ok(nodes) = fs::read_dir(binary::target_directory()?.join("nodes")) {
        let mut nodes: Vec<PathBuf> = nodes
            .flatten()
            .map(|node| node.path().join("bin/node"))
            .filter(|node| node.is_file())
            .collect();
        nodes.sort();
        found.extend(nodes);
    }
    Ok(found)
}
