//! Debian suites that this machine's own sources do not list: read through an apt state of our own under `target/`, so that
//! nothing of the machine's package configuration changes.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::{build, root};

/// Debian's keys, of which every Debian machine has a copy.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Package lists of other suites.
pub(crate) struct Suites<'a> {
    sh: &'a Shell,
    options: Vec<String>,
}

impl<'a> Suites<'a> {
    /// Fetches the lists of `suites` from the mirrors that this machine uses itself.
    pub(crate) fn fetch(sh: &'a Shell, name: &str, suites: &[&str]) -> Result<Self> {
        let state = build::target_dir(sh).join("vm/apt").join(name);
        for directory in ["lists/partial", "cache/archives/partial"] {
            sh.create_dir(state.join(directory))?;
        }
        let (main, security) = (mirror(sh, "Debian")?, mirror(sh, "Debian-Security")?);
        let line = |suite: &&str| {
            let mirror = if suite.ends_with("-security") {
                &security
            } else {
                &main
            };
            format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        };
        let sources: Vec<_> = suites.iter().map(line).collect();
        sh.write_file(state.join("sources.list"), sources.concat())?;
        let mut options = Vec::new();
        for (option, value) in [
            ("Dir::Etc::SourceList", state.join("sources.list")),
            ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
            ("Dir::State::Lists", state.join("lists")),
            ("Dir::Cache", state.join("cache")),
            // The directories are this user's, not the _apt user's.
            ("APT::Sandbox::User", PathBuf::from("root")),
        ] {
            options.extend(["-o".to_owned(), format!("{option}={}", value.display())]);
        }
        let suites = Self { sh, options };
        let options = &suites.options;
        cmd!(sh, "apt-get {options...} -q update")
            .ignore_stdout()
            .run()
            .context("cannot fetch package lists")?;
        Ok(suites)
    }

    /// Names of the packages that start with `prefix`.
    pub(crate) fn package_names(&self, prefix: &str) -> Result<Vec<String>> {
        let (sh, options) = (self.sh, &self.options);
        let names = cmd!(sh, "apt-cache {options...} pkgnames {prefix}")
            .quiet()
            .read()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads a package, checked against the signed lists, into `directory` and unpacks it there.
    pub(crate) fn unpack(&self, package: &str, directory: &Path) -> Result<()> {
        let (sh, options) = (self.sh, &self.options);
        sh.create_dir(directory)?;
        let _back = sh.push_dir(directory);
        cmd!(sh, "apt-get {options...} -q download {package}")
            .ignore_stdout()
            .run()?;
        for archive in sh.read_dir(directory)? {
            if archive.extension().is_some_and(|extension| extension == "deb") {
                cmd!(sh, "dpkg-deb --extract {archive} .").run()?;
            }
        }
        Ok(())
    }

    /// Installs packages on this machine, from `suite` as far as they need it.
    pub(crate) fn install(&self, suite: &str, packages: &[&str]) -> Result<()> {
        let command = root::command(self.sh, "env")?
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(&self.options)
            .args([
                "install",
                "-q",
                "-y",
                "--no-install-recommends",
                "--no-remove",
                "--target-release",
                suite,
            ])
            .args(packages);
        eprintln!("$ {command}");
        let status = Command::from(command)
            .stdout(io::stderr())
            .status()
            .context("cannot start apt-get")?;
        ensure!(
            status.success(),
            "apt could not install {} from {suite}",
            packages.join(" ")
        );
        Ok(())
    }
}

/// The mirror that this machine's apt has for the archive with this label.
fn mirror(sh: &Shell, label: &str) -> Result<String> {
    let format = "$(LABEL) $(REPO_URI)";
    let targets = cmd!(sh, "apt-get indextargets --format {format}")
        .quiet()
        .read()?;
    let found = targets
        .lines()
        .find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    let uri = found.with_context(|| {
        format!("this machine's apt has no {label} archive (is it Debian? if so, run `apt-get update`): other kernels come from there")
    })?;
    Ok(uri.to_owned())
}
