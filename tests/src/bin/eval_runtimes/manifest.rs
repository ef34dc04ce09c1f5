//! `cases.toml`: which programs of one runtime there are, and what has to be said about each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use leakwatch::model::finding::Resource;
use leakwatch_tests::leaks;
use serde::Deserialize;

/// Every program of one runtime.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// As leakwatch names it.
    pub(crate) runtime: String,
    #[serde(default, rename = "interpreter")]
    pub(crate) interpreters: Vec<Interpreter>,
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
    /// Where the sources are.
    #[serde(skip)]
    pub(crate) directory: PathBuf,
}

/// One version of what runs or builds the programs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interpreter {
    pub(crate) version: String,
    /// Its name on `PATH`, or a path with `~` and `*` in it.
    pub(crate) command: String,
    /// Where else it may be: patterns of the same kind.
    #[serde(default)]
    pub(crate) find: Vec<String>,
}

/// One program; unless it is healthy, with its fixed twin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// File name.
    pub(crate) source: String,
    /// How it becomes `{out}`; words, with `{source}`, `{out}`, `{interpreter}` and `{dir}`.
    pub(crate) build: Option<String>,
    /// How it runs; words, with `{mode}` as well.
    pub(crate) run: String,
    /// What leaks.
    pub(crate) resource: Option<Resource>,
    /// One of these has to be in the finding.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    /// It only grows, for a while.
    #[serde(default)]
    pub(crate) healthy: bool,
    /// Versions that it is run with; all when there are none.
    #[serde(default)]
    pub(crate) versions: Vec<String>,
    /// What is not supported of it, and why: it is run, and shown, and does not fail the run.
    pub(crate) unsupported: Option<String>,
}

/// Every manifest below `tests/programs/runtimes`.
pub(crate) fn all() -> Result<Vec<Manifest>> {
    let root = leaks::path("runtimes");
    let mut directories: Vec<PathBuf> = fs::read_dir(&root)
        .with_context(|| format!("cannot read {}", root.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("cases.toml").is_file())
        .collect();
    directories.sort();
    directories.iter().map(|directory| read(directory)).collect()
}

fn read(directory: &Path) -> Result<Manifest> {
    let path = directory.join("cases.toml");
    let text = fs::read_to_string(&path)?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Manifest {
        directory: directory.to_owned(),
        ..manifest
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_manifest_is_understood_and_its_sources_are_there() {
        for manifest in super::all().expect("readable") {
            assert!(!manifest.cases.is_empty(), "{}", manifest.runtime);
            for case in &manifest.cases {
                let source = manifest.directory.join(&case.source);
                assert!(source.is_file(), "{}", source.display());
                assert!(
                    case.healthy || (case.resource.is_some() && !case.names.is_empty()),
                    "{} {}: what leaks, and how is it called?",
                    manifest.runtime,
                    case.name
                );
                for version in &case.versions {
                    let known = manifest.interpreters.iter().any(|of| of.version == *version);
                    assert!(known, "{} {}: no version {version}", manifest.runtime, case.name);
                }
            }
        }
    }
}
