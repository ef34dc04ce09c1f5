//! Where a document goes: a file, standard output, or standard error.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use super::Failure;

/// Somewhere to write to.
pub(super) enum Output {
    /// Standard output.
    Stdout,
    /// Standard error, where standard output is somebody else's.
    Stderr,
    /// A file; what it held stays until there is something to replace it with.
    File(PathBuf, File),
}

impl Output {
    /// Opens the file, so that what cannot be written is known before anything is observed.
    pub(super) fn open(path: Option<&Path>, binary: bool) -> Result<Self, Failure> {
        let Some(path) = path else {
            if binary && io::stdout().is_terminal() {
                return Err(Failure::Usage {
                    what: "this format is not for terminals".to_owned(),
                    fix: "add --output-file FILE, or send it into a file or pipe".to_owned(),
                });
            }
            return Ok(Self::Stdout);
        };
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Failure::Usage {
                what: format!("open {}: {error}", path.display()),
                fix: "choose another place: --output-file FILE".to_owned(),
            })?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// What to write to piece by piece.
    pub(super) fn into_writer(self) -> Result<Box<dyn io::Write>, Failure> {
        match self {
            Self::Stdout => Ok(Box::new(io::stdout().lock())),
            Self::Stderr => Ok(Box::new(io::stderr().lock())),
            Self::File(path, file) => {
                let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
                let emptied = if is_regular { file.set_len(0) } else { Ok(()) };
                emptied.map_err(|error| Failure::because(format!("write {}: {error}", path.display())))?;
                Ok(Box::new(file))
            }
        }
    }

    /// Writes all of it.
    pub(super) fn write(self, document: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(document)
                    .and_then(|()| out.flush())
                    .map_err(|error| Failure::output(&error))
            }
            Self::Stderr => io::stderr()
                .lock()
                .write_all(document)
                .map_err(|error| Failure::output(&error)),
            Self::File(path, mut file) => {
                let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
                let emptied = if is_regular { file.set_len(0) } else { Ok(()) };
                emptied
                    .and_then(|()| file.write_all(document))
                    .map_err(|error| Failure::because(format!("write {}: {error}", path.display())))?;
                eprintln!("{}: {} bytes", path.display(), document.len());
                Ok(())
            }
        }
    }
}
