//! What the agent remembers over its own restart: verdicts, in one small file of its own.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::detect::Remembered;

/// Format of the file; one of another format is left alone.
const VERSION: u32 = 1;
/// Bytes that are read at the most; 512 verdicts take less.
const MAX_BYTES: u64 = 4 << 20;

/// A file that holds verdicts between two runs.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    written: Vec<Remembered>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    verdicts: Vec<Remembered>,
}

impl StateFile {
    /// The file at `path`, which need not exist yet, and what it holds.
    ///
    /// # Errors
    /// When it can neither be read nor made, or was not written by this version of leakwatch: then it is left as it is.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Remembered>)> {
        let verdicts = match File::open(path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut file = Self {
            path: path.to_owned(),
            written: Vec::new(),
        };
        // A place that cannot be written to is better known now than in an hour.
        file.write(&verdicts)?;
        Ok((file, verdicts))
    }

    /// Replaces what the file holds, all or nothing; when that has not changed it is not touched.
    ///
    /// # Errors
    /// When it cannot be written; it then holds what it held.
    pub(crate) fn save(&mut self, verdicts: Vec<Remembered>) -> io::Result<()> {
        if verdicts != self.written {
            self.write(&verdicts)?;
            self.written = verdicts;
        }
        Ok(())
    }

    fn write(&mut self, verdicts: &[Remembered]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let mut new = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&name)?;
        new.set_permissions(Permissions::from_mode(0o600))?;
        let document = Document {
            version: VERSION,
            verdicts: verdicts.to_vec(),
        };
        new.write_all(&serde_json::to_vec(&document)?)?;
        new.sync_data()?;
        fs::rename(&name, &self.path)
    }
}

fn read(file: File) -> io::Result<Vec<Remembered>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let document: Document = serde_json::from_slice(&bytes)?;
    if document.version == VERSION {
        return Ok(document.verdicts);
    }
    let message = format!(
        "its format is {}, and this leakwatch knows {VERSION}",
        document.version
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::SubjectKey,
        model::{
            finding::{Resource, Verdict},
            identity::ProcessId,
        },
    };

    fn verdict() -> Remembered {
        Remembered {
            subject: SubjectKey::Process(ProcessId {
                pid: 7,
                start_time_ns: 70,
            }),
            program: Some("/bin/leaky".into()),
            resource: Resource::Fd,
            kind: "socket".to_owned(),
            verdict: Verdict::Leaking,
            confidence: 0.98,
            since_unix_ms: Some(1),
            last_unix_ms: 2,
        }
    }

    #[test]
    fn what_is_saved_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let (mut file, before) = StateFile::open(&path).unwrap();
        assert_eq!(before, []);
        file.save(vec![verdict()]).unwrap();
        let (_, after) = StateFile::open(&path).unwrap();
        assert_eq!(after, [verdict()]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_foreign_file_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        for foreign in ["", "notes", r#"{"version":9,"verdicts":[]}"#] {
            fs::write(&path, foreign).unwrap();
            assert!(StateFile::open(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
        }
    }
}
