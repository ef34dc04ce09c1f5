//! From a source in `tests/programs/live` to a command.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::{leaks, package};

use crate::catalog::{Case, Language};

/// Sources, below `tests/programs`.
const SOURCES: &str = "live";
/// The load of every Go program.
const GO_LOAD: &str = "live/go/steady.go";

/// Python, not to write compiled code beside the sources.
const WITHOUT_CACHE: &[&str] = &["-B"];

/// How a program is started, without its own arguments.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Built {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

/// The source of `case`, below `tests/programs`.
pub(crate) fn source(case: &Case) -> String {
    let (dir, extension) = match case.language {
        Language::C => ("c", "c"),
        Language::Rust => ("rust", "rs"),
        Language::Go => ("go", "go"),
        Language::Java => ("java", "java"),
        Language::Python => ("python", "py"),
        Language::Node => ("node", "js"),
    };
    format!("{SOURCES}/{dir}/{}.{extension}", case.name)
}

/// Builds `case` in `dir`; `None` where its language is missing.
pub(crate) fn build(case: &Case, dir: &Path) -> Result<Option<Built>> {
    let source = source(case);
    let output = dir.join(case.name);
    let compiled = |done: bool| {
        done.then(|| Built {
            program: output.clone(),
            arguments: Vec::new(),
        })
    };
    let script = |interpreter: Option<PathBuf>, options: &[&str]| {
        interpreter.map(|program| Built {
            program,
            arguments: options
                .iter()
                .map(OsString::from)
                .chain([leaks::path(&source).into()])
                .collect(),
        })
    };
    Ok(match case.language {
        Language::C => compiled(leaks::c(&source, &output)?),
        Language::Rust => compiled(leaks::rust(&source, &output)?),
        Language::Go => compiled(leaks::go_files(&[&source, GO_LOAD], &output)?),
        Language::Java => java(case.name, &source, dir)?,
        Language::Python => script(package::find_stock("python3", "python3")?, WITHOUT_CACHE),
        Language::Node => script(package::find("node", "nodejs")?, &[]),
    })
}

fn java(class: &str, source: &str, dir: &Path) -> Result<Option<Built>> {
    const PACKAGE: &str = "default-jdk-headless";
    let (Some(compiler), Some(program)) = (package::find("javac", PACKAGE)?, package::find("java", PACKAGE)?)
    else {
        return Ok(None);
    };
    let source = leaks::path(source);
    let sources = source.parent().context("a source has a directory")?;
    let compiled = Command::new(compiler)
        .arg("-d")
        .arg(dir)
        .arg("-sourcepath")
        .arg(sources)
        .arg(&source)
        .output()
        .context("cannot run javac")?;
    ensure!(
        compiled.status.success(),
        "javac {class}: {}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    Ok(Some(Built {
        program,
        arguments: vec!["-Xmx1g".into(), "-cp".into(), dir.into(), class.into()],
    }))
}
