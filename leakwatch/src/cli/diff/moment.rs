//! A recording, and a moment of it: `run.lw@60s`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::cli::{Failure, time};

/// Which reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The last that is not later than so long after the first.
    After(Duration),
    /// The last.
    End,
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) file: PathBuf,
    pub(super) when: When,
}

impl Moment {
    /// What follows the last `@` is a time if it looks like one or if there is a file of the name before it, unless there
    /// is one of that whole name.
    pub(super) fn of(typed: &Path) -> Result<Self, Failure> {
        let split = typed.to_str().and_then(|text| text.rsplit_once('@'));
        if let Some((file, time)) = split
            && !typed.exists()
        {
            let file = Path::new(file);
            if let Some(when) = when_named(time) {
                return Ok(Self {
                    file: file.to_owned(),
                    when,
                });
            }
            if file.exists() {
                return Err(no_time(file, time));
            }
        }
        Ok(Self {
            file: typed.to_owned(),
            when: When::End,
        })
    }
}

fn when_named(text: &str) -> Option<When> {
    match text {
        "start" => Some(When::After(Duration::ZERO)),
        "end" => Some(When::End),
        typed => time::parse(typed).ok().map(When::After),
    }
}

fn no_time(file: &Path, time: &str) -> Failure {
    let file = file.display();
    Failure::Usage {
        what: format!("{file}@{time}: {time:?} is no time after the first reading"),
        fix: format!("{file}@start, {file}@60s, {file}@1m30s or {file}@end; a bare number is seconds"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use super::{Failure, Moment, When};

    fn moment(typed: &str) -> (String, When) {
        let moment = Moment::of(Path::new(typed)).expect("it is understood");
        (moment.file.display().to_string(), moment.when)
    }

    #[test]
    fn a_time_stands_after_the_last_at_sign() {
        let after = |seconds| When::After(Duration::from_secs(seconds));
        for (typed, file, when) in [
            ("run.lw", "run.lw", When::End),
            ("run.lw@60", "run.lw", after(60)),
            ("run.lw@10m", "run.lw", after(600)),
            ("run.lw@start", "run.lw", after(0)),
            ("run.lw@0s", "run.lw", after(0)),
            ("run.lw@0", "run.lw", after(0)),
            ("run.lw@bogus", "run.lw@bogus", When::End),
            ("a@b@end", "a@b", When::End),
            ("db@host.lw", "db@host.lw", When::End),
        ] {
            assert_eq!(moment(typed), (file.to_owned(), when), "{typed}");
        }
    }

    #[test]
    fn a_file_of_that_name_is_that_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run@60s");
        fs::write(&path, "x").expect("a file");
        assert_eq!(Moment::of(&path).expect("it is a file").file, path);
    }

    #[test]
    fn after_a_file_there_is_a_time_or_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.lw");
        fs::write(&path, "x").expect("a file");
        for wrong in ["bogus", "", "-1s", "10 parsecs"] {
            let typed = format!("{}@{wrong}", path.display());
            let refused = Moment::of(Path::new(&typed)).expect_err("it is no time");
            assert!(matches!(refused, Failure::Usage { .. }));
            let said = refused.to_string();
            assert!(
                said.contains(&format!("{wrong:?} is no time")) && said.contains("run.lw@60s"),
                "{said}"
            );
        }
    }
}
