//! A recording, and a moment of it: `run.lw@60s`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::cli::top;

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
    /// What follows the last `@` is a time if it looks like one, unless there is a file of that whole name.
    pub(super) fn of(typed: &Path) -> Self {
        let split = typed.to_str().and_then(|text| text.rsplit_once('@'));
        let timed = split.and_then(|(file, when)| Some((file, when_named(when)?)));
        match timed {
            Some((file, when)) if !typed.exists() => Self {
                file: file.into(),
                when,
            },
            _ => Self {
                file: typed.to_owned(),
                when: When::End,
            },
        }
    }
}

fn when_named(text: &str) -> Option<When> {
    match text {
        "start" => Some(When::After(Duration::ZERO)),
        "end" => Some(When::End),
        time => top::interval(time).ok().map(When::After),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use super::{Moment, When};

    fn moment(typed: &str) -> (String, When) {
        let moment = Moment::of(Path::new(typed));
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
        assert_eq!(Moment::of(&path).file, path);
    }
}
