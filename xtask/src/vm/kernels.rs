//! Kernels to boot: Debian's cloud kernels, newest of a series, cached under `target/vm/kernels`.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::Shell;

use crate::debian::Suites;

/// Where Debian publishes kernels: 5.10 · 6.1 and 6.12 · 6.16 and newer.
const SUITES: &[&str] = &["bullseye-security", "bookworm-security", "trixie-backports"];

/// A kernel on this disk.
pub(super) struct Kernel {
    /// Its release as `uname -r` says it.
    pub(super) release: String,
    pub(super) image: PathBuf,
}

/// The kernels in the cache, and where to get others.
pub(super) struct Kernels<'a> {
    sh: &'a Shell,
    cache: PathBuf,
    suites: OnceCell<Suites<'a>>,
}

impl<'a> Kernels<'a> {
    pub(super) fn cached_in(sh: &'a Shell, cache: PathBuf) -> Result<Self> {
        sh.create_dir(&cache)?;
        Ok(Self {
            sh,
            cache,
            suites: OnceCell::new(),
        })
    }

    /// The newest kernel of a series such as `6.1`: in the cache if there is one, else downloaded.
    pub(super) fn get(&self, series: &str) -> Result<Kernel> {
        ensure!(
            series.chars().all(|c| c.is_ascii_digit() || c == '.'),
            "no kernel series: {series:?}"
        );
        if let Some(kernel) = newest(self.sh, &self.cache, series)? {
            return Ok(kernel);
        }
        let suites = self.suites()?;
        let (package, release) = package(suites, series)?;
        let unpacked = self.sh.create_temp_dir()?;
        suites.unpack(&package, unpacked.path())?;
        let places = [
            format!("boot/vmlinuz-{release}"),
            format!("usr/lib/modules/{release}/vmlinuz"),
        ];
        let packaged = places
            .iter()
            .map(|place| unpacked.path().join(place))
            .find(|path| path.is_file());
        let packaged = packaged.with_context(|| format!("{package} holds no vmlinuz"))?;
        let image = self.cache.join(format!("vmlinuz-{release}"));
        self.sh
            .copy_file(&packaged, &image)
            .with_context(|| format!("{package} holds no vmlinuz-{release}"))?;
        Ok(Kernel { release, image })
    }

    fn suites(&self) -> Result<&Suites<'a>> {
        if let Some(suites) = self.suites.get() {
            return Ok(suites);
        }
        let suites = Suites::fetch(self.sh, "kernels", SUITES)?;
        Ok(self.suites.get_or_init(|| suites))
    }
}

fn newest(sh: &Shell, cache: &Path, series: &str) -> Result<Option<Kernel>> {
    let prefix = format!("vmlinuz-{series}.");
    let files = sh.read_dir(cache)?;
    let releases = files
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_prefix("vmlinuz-"));
    let newest = releases
        .filter(|release| format!("vmlinuz-{release}").starts_with(&prefix))
        .max_by_key(|r| numbers(r));
    Ok(newest.map(|release| Kernel {
        release: release.to_owned(),
        image: cache.join(format!("vmlinuz-{release}")),
    }))
}

/// The package that holds the newest kernel of the series, and that kernel's release. Since 6.19 linux-image is a
/// metapackage and the image is in linux-binary.
fn package(suites: &Suites<'_>, series: &str) -> Result<(String, String)> {
    for kind in ["linux-binary-", "linux-image-"] {
        let names = suites.package_names(&format!("{kind}{series}."))?;
        let releases = names.iter().filter_map(|name| name.strip_prefix(kind));
        if let Some(release) = releases
            .filter(|name| name.ends_with("-cloud-amd64"))
            .max_by_key(|name| numbers(name))
        {
            return Ok((format!("{kind}{release}"), release.to_owned()));
        }
    }
    bail!("no cloud kernel {series} in {}", SUITES.join(", "))
}

/// The numbers in a kernel release, to compare releases by.
fn numbers(release: &str) -> Vec<u32> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn releases_compare_by_number() {
        let ascending = [
            "6.1.0-0.deb11.52-cloud-amd64",
            "6.1.0-9-cloud-amd64",
            "6.1.0-56-cloud-amd64",
            "6.12.95+deb12-cloud-amd64",
            "6.12.117+deb12-cloud-amd64",
        ];
        assert!(ascending.is_sorted_by_key(|release| numbers(release)));
    }
}
