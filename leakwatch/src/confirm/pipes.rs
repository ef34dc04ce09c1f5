//! Pipes: reading sets the time of access, writing that of modification.
//!
//! Since Linux 6.15 pipes that `pipe()` made keep no times (fs/pipe.c, `create_pipe_files`: `FMODE_NOCMTIME`, `O_NOATIME`);
//! of those it cannot be told. Named ones keep them.

use std::{sync::LazyLock, thread, time::Duration};

use rustix::fs::fstat;

use super::{descriptors::Descriptor, look::Sight};

/// Whether this kernel keeps the times of pipes.
static KEEPS_TIMES: LazyLock<bool> = LazyLock::new(|| keeps_times().unwrap_or(false));

/// Longer than the kernel's clock for files takes to move: 10 ms at CONFIG_HZ=100.
const CLOCK_MOVES: Duration = Duration::from_millis(25);

pub(super) fn sight(descriptor: &Descriptor) -> Sight {
    let is_named = std::fs::read_link(descriptor.path()).is_ok_and(|link| link.is_absolute());
    let stat = &descriptor.stat;
    Sight {
        mark: (is_named || *KEEPS_TIMES).then(|| format!("{:?} {:?}", stat.stx_atime, stat.stx_mtime)),
        ..Sight::default()
    }
}

fn keeps_times() -> rustix::io::Result<bool> {
    let (read, write) = rustix::pipe::pipe()?;
    let before = fstat(&read)?;
    thread::sleep(CLOCK_MOVES);
    rustix::io::write(&write, b"x")?;
    let after = fstat(&read)?;
    Ok((before.st_mtime, before.st_mtime_nsec) != (after.st_mtime, after.st_mtime_nsec))
}
