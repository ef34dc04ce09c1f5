//! Fails when a module of `leakwatch/src` uses what its row in [`super::modules`] does not grant.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use super::{
    files,
    modules::{EVERYTHING, IMPURE, KERNEL, LOADER, MODULES, Module},
    paths::{self, NamedPath, Source},
};

/// The crate that the table is about.
const SOURCES: &str = "leakwatch/src";

/// A module by its path below the crate, `present::top` as two segments; the root has none.
type ModulePath = Vec<String>;

pub(super) fn check(sh: &Shell) -> Result<()> {
    let mut sources = BTreeMap::new();
    for file in files::rust(sh, Path::new(SOURCES))? {
        let text = sh.read_file(&file)?;
        let source = paths::read(&text).with_context(|| format!("cannot read {}", file.display()))?;
        sources.insert(file.display().to_string(), source);
    }
    let violations = violations(&sources);
    ensure!(
        violations.is_empty(),
        "{}\nwho may use whom: xtask/src/lint/modules.rs",
        violations.join("\n")
    );
    Ok(())
}

/// Every violation as `file:line: what`.
fn violations(sources: &BTreeMap<String, Source>) -> Vec<String> {
    let modules: Vec<_> = sources.keys().map(|file| module_path(file)).collect();
    let test_modules: Vec<ModulePath> = sources
        .iter()
        .flat_map(|(file, source)| {
            source
                .test_modules
                .iter()
                .map(|name| child(&module_path(file), name))
        })
        .collect();
    let mut violations = Vec::new();
    for (file, source) in sources {
        let module = module_path(file);
        if module.is_empty() || test_modules.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let Some(row) = row_of(&module) else {
            violations.push(format!("{file}:1: module {} has no row", module.join("::")));
            continue;
        };
        for path in &source.paths {
            let complaint = match resolve(path, &module, &modules) {
                Some(target) => edge(row, &target),
                None => outside(row, path),
            };
            violations.extend(complaint.map(|what| format!("{file}:{}: {} {what}", path.line, row.path)));
        }
    }
    violations
}

/// Complains about a path into another module of the crate.
fn edge(row: &Module, target: &[String]) -> Option<String> {
    let other = row_of(target)?;
    let granted = other.path == row.path || row.may_use == EVERYTHING || row.may_use.contains(&other.path);
    (!granted).then(|| format!("may not use {}: {}", other.path, target.join("::")))
}

/// Complains about a path out of the crate.
fn outside(row: &Module, path: &NamedPath) -> Option<String> {
    let name = path.segments.join("::");
    let is_below = |forbidden: &&&str| name == **forbidden || name.starts_with(&format!("{forbidden}::"));
    if row.path != KERNEL && LOADER.iter().any(|loader| is_below(&loader)) {
        return Some(format!("may not use {name}: only {KERNEL} names the loader"));
    }
    let impure = row.pure && IMPURE.iter().any(|impure| is_below(&impure));
    impure.then(|| format!("is pure and may not use {name}"))
}

/// The path below the crate that `path` names from within `module`; nothing when it leads out of the crate.
fn resolve(path: &NamedPath, module: &[String], modules: &[ModulePath]) -> Option<Vec<String>> {
    let mut base = module.to_vec();
    let mut rest = path.segments.as_slice();
    match rest {
        [first, tail @ ..] if first == "crate" => return Some(tail.to_vec()),
        // main.rs is a crate of its own.
        [first, tail @ ..] if first == "leakwatch" => return Some(tail.to_vec()),
        [first, tail @ ..] if first == "self" => rest = tail,
        [first, ..] if first == "super" => {
            while let [first, tail @ ..] = rest
                && first == "super"
            {
                base.pop();
                rest = tail;
            }
        }
        [first, ..] if modules.contains(&child(module, first)) => {}
        _ => return None,
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The row of the longest path that leads to `module`.
fn row_of(module: &[String]) -> Option<&'static Module> {
    let name = module.join("::");
    let leads = |row: &&Module| name == row.path || name.starts_with(&format!("{}::", row.path));
    MODULES.iter().filter(leads).max_by_key(|row| row.path.len())
}

fn child(module: &[String], name: &str) -> ModulePath {
    [module, &[name.to_owned()]].concat()
}

fn module_path(file: &str) -> ModulePath {
    let file = file
        .strip_prefix(SOURCES)
        .unwrap_or(file)
        .trim_start_matches('/')
        .trim_end_matches(".rs");
    let segments = file
        .split('/')
        .filter(|segment| !matches!(*segment, "mod" | "lib"));
    segments.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::violations;
    use crate::lint::paths;

    /// Files of an imaginary crate, and what is wrong with them.
    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let read =
            |(file, text): &(&str, &str)| (format!("leakwatch/src/{file}"), paths::read(text).expect("Rust"));
        violations(&files.iter().map(read).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn a_pure_stage_reaches_for_clock_io_and_loader() {
        let text = "use std::time::{Duration, Instant};\nfn f() { std::fs::read(\"x\"); }\nuse aya::Ebpf;\nuse tokio::time;";
        assert_eq!(
            check(&[("detect/growth.rs", text)]),
            [
                "leakwatch/src/detect/growth.rs:1: detect is pure and may not use std::time::Instant",
                "leakwatch/src/detect/growth.rs:2: detect is pure and may not use std::fs::read",
                "leakwatch/src/detect/growth.rs:3: detect may not use aya::Ebpf: only kernel names the loader",
                "leakwatch/src/detect/growth.rs:4: detect is pure and may not use tokio::time",
            ]
        );
    }

    #[test]
    fn an_edge_that_is_not_in_the_table() {
        let files = [
            ("kernel/mod.rs", ""),
            ("decode.rs", "use super::kernel::Feed;\nuse crate::model::Row;"),
        ];
        assert_eq!(
            check(&files),
            ["leakwatch/src/decode.rs:1: decode may not use kernel: kernel::Feed"]
        );
    }

    #[test]
    fn presenters_do_not_know_each_other() {
        let files = [
            ("present/mod.rs", "pub use report::Format;"),
            ("present/report/mod.rs", "use crate::present::top::App;"),
        ];
        let top = (
            "present/top/mod.rs",
            "use std::time::Instant; use crate::present::fields;",
        );
        assert_eq!(
            check(&[files[0], files[1], top]),
            [
                "leakwatch/src/present/mod.rs:1: present may not use present::report: present::report::Format",
                "leakwatch/src/present/report/mod.rs:1: present::report may not use present::top: present::top::App",
            ]
        );
    }

    #[test]
    fn a_module_without_a_row() {
        assert_eq!(
            check(&[("helpers.rs", "")]),
            ["leakwatch/src/helpers.rs:1: module helpers has no row"]
        );
    }

    #[test]
    fn test_code_may_use_anything() {
        let model = "#[cfg(test)] mod fixture;\n#[cfg(test)] mod tests { use std::fs; use crate::kernel; }";
        assert_eq!(
            check(&[("model/mod.rs", model), ("model/fixture.rs", "use std::fs;")]),
            [""; 0]
        );
    }
}
