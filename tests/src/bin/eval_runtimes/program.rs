//! A program that runs, on this host or in a container of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::container::Bundle;

use crate::manifest::{Case, Manifest};

/// In which of its forms it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Leaky,
    Fixed,
    Healthy,
}

impl Form {
    /// Also its argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leaky => "leaky",
            Self::Fixed => "fixed",
            Self::Healthy => "healthy",
        }
    }
}

/// One program by one interpreter in one form.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) runtime: String,
    pub(crate) version: String,
    pub(crate) case: Case,
    pub(crate) form: Form,
    words: Vec<String>,
    directory: PathBuf,
}

impl Subject {
    /// Builds it in a directory of its own below `root`; `interpreter` may be absent where the program needs none.
    pub(crate) fn build(
        manifest: &Manifest,
        version: &str,
        interpreter: Option<&Path>,
        case: &Case,
        form: Form,
        root: &Path,
    ) -> Result<Self> {
        let directory = root.join(format!(
            "{}-{version}-{}-{}",
            manifest.runtime,
            case.name,
            form.name()
        ));
        fs::create_dir_all(&directory)?;
        let out = directory.join("program");
        // A name of its own: what is called `python3` by its user shall not help.
        let source = manifest.directory.join(&case.source);
        let fill = |template: &str| -> Vec<String> {
            let word = |word: &str| {
                word.replace("{source}", &source.display().to_string())
                    .replace("{sources}", &manifest.directory.display().to_string())
                    .replace("{out}", &out.display().to_string())
                    .replace("{dir}", &directory.display().to_string())
                    .replace("{mode}", form.name())
                    .replace(
                        "{interpreter}",
                        &interpreter.unwrap_or(Path::new("")).display().to_string(),
                    )
            };
            template.split_whitespace().map(word).collect()
        };
        if let Some(build) = &case.build {
            let words = fill(build);
            let (program, arguments) = words.split_first().context("nothing to build with")?;
            let output = Command::new(program)
                .args(arguments)
                .current_dir(&directory)
                .env("GOFLAGS", "-mod=mod")
                .env("GO111MODULE", "off")
                .env("GOTOOLCHAIN", "local")
                .output()
                .with_context(|| format!("cannot run {program}"))?;
            ensure!(
                output.status.success(),
                "{build}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Self {
            runtime: manifest.runtime.clone(),
            version: version.to_owned(),
            words: fill(&case.run),
            case: case.clone(),
            form,
            directory,
        })
    }

    pub(crate) fn label(&self) -> String {
        format!(
            "{} {} {} ({})",
            self.runtime,
            self.version,
            self.case.name,
            self.form.name()
        )
    }
}

/// Dropping it ends it.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn start(subject: &Subject) -> Result<Self> {
        let log = subject.directory.join("log");
        let (program, arguments) = subject.words.split_first().context("nothing to run")?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(&subject.directory)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        Ok(Self { child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended, with what it complained of.
    pub(crate) fn ensure_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let complaints = fs::read_to_string(&self.log).unwrap_or_default();
            anyhow::bail!("it ended with {status}: {complaints}");
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// Where the files of the host that interpreters need are in the container: read-only.
const MOUNTED: [&str; 5] = ["/etc", "/lib", "/lib64", "/opt", "/usr"];

/// A container for one program, with a root of its own, and its number in its id.
pub(crate) fn bundle(number: usize, subject: &Subject, descriptors: u64) -> Result<Bundle> {
    let bundle = Bundle::with_id(format!("{number:064x}"))?
        .context("no runc or no busybox: cargo xtask setup --tests")?;
    let words: Vec<&str> = subject.words.iter().map(String::as_str).collect();
    bundle.configure(&words, &[])?;
    bundle.relax(descriptors)?;
    for path in MOUNTED.map(Path::new) {
        if path.is_dir() {
            bundle.mount(path)?;
        }
    }
    for word in &subject.words {
        // The program, the interpreter and the sources, wherever they are.
        let path = Path::new(word);
        if path.is_absolute() && !MOUNTED.iter().any(|mounted| path.starts_with(mounted)) {
            bundle.mount(&installation(path))?;
        }
    }
    bundle.mount(&subject.directory)?;
    Ok(bundle)
}

/// The directory that a program and its libraries are in: the one above `bin`.
fn installation(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap_or(path);
    if parent.ends_with("bin") {
        parent.parent().unwrap_or(parent).to_owned()
    } else {
        parent.to_owned()
    }
}
