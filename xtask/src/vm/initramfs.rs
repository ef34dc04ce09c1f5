//! The test machine's whole file system: busybox, our init, leakwatch and what tests it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use super::Step;

/// The loader and the libraries of the programs among `files`, where they look for them.
fn libraries(sh: &Shell, files: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for file in files {
        // It fails on what is not a dynamic program.
        let listed = cmd!(sh, "ldd {file}")
            .quiet()
            .ignore_status()
            .ignore_stderr()
            .read()?;
        let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
        libraries.extend(paths.map(PathBuf::from));
    }
    Ok(libraries)
}

/// Packs programs and what they need, each to be found as `/NAME`, and the steps to run.
pub(super) fn pack(sh: &Shell, directory: &Path, files: &[PathBuf], steps: &[Step]) -> Result<PathBuf> {
    let root = directory.join("root");
    let image = directory.join("initramfs.cpio");
    sh.remove_path(&root)?;
    sh.create_dir(root.join("bin"))?;
    let busybox = cmd!(sh, "sh -c 'command -v busybox'")
        .quiet()
        .read()
        .context("no busybox here: run `cargo xtask setup --tests`")?;
    sh.copy_file(busybox, root.join("bin/busybox"))?;
    for file in files {
        let name = file
            .file_name()
            .with_context(|| format!("{} is no file", file.display()))?;
        sh.copy_file(file, root.join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    for library in libraries(sh, files)? {
        let inside = root.join(library.strip_prefix("/")?);
        sh.create_dir(inside.parent().context("a library is in a directory")?)?;
        sh.copy_file(&library, inside)?;
    }
    let lines: Vec<_> = steps
        .iter()
        .map(|step| format!("step {} {}\n", step.name, step.command))
        .collect();
    sh.write_file(root.join("steps"), lines.concat())?;
    let init = root.join("init");
    sh.write_file(&init, include_str!("init.sh"))?;
    cmd!(sh, "chmod +x {init}").quiet().run()?;

    let _back = sh.push_dir(&root);
    let archive = "find . | busybox cpio -o -H newc > $1";
    cmd!(sh, "sh -c {archive} sh {image}")
        .quiet()
        .ignore_stderr()
        .run()
        .context("cannot pack the initramfs")?;
    Ok(image)
}
