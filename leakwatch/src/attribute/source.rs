//! Facts from `/proc`: the one part of this stage that does I/O.

use std::{collections::HashMap, fs, os::unix::ffi::OsStrExt as _, path::PathBuf, sync::Arc};

use super::{
    Facts, ProcessFacts, container,
    examples::{self, Sockets},
    pagemap, unit, users,
};
use crate::{model::sanitize, recognise::Recogniser};

/// Longest command line that is kept, bytes.
const MAX_CMDLINE: usize = 4096;

/// Reads `/proc`.
#[derive(Debug, Default)]
pub struct Procfs {
    users: Option<HashMap<u32, Arc<str>>>,
    recogniser: Recogniser,
    /// By network namespace, of this tick.
    sockets: HashMap<PathBuf, Sockets>,
}

impl Facts for Procfs {
    fn process(&mut self, pid: u32) -> ProcessFacts {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let exe = exe.map(|path| sanitize::text(path.as_os_str().as_bytes()));
        let cmdline = fs::read(format!("/proc/{pid}/cmdline"))
            .ok()
            .filter(|cmdline| !cmdline.is_empty());
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        let recognised = self.recogniser.process(pid, &String::from_utf8_lossy(&maps));
        let container_id = container::id(&cgroup).map(Arc::from);
        ProcessFacts {
            // A container is a unit to systemd as well, by its id.
            unit: unit::name(&cgroup)
                .filter(|_| container_id.is_none())
                .map(|unit| sanitize::text(unit.as_bytes()).into()),
            build_id: recognised.build_id,
            runtime: recognised.runtime.map(Arc::from),
            runtime_version: recognised.runtime_version,
            allocator: recognised.allocator.map(|allocator| allocator.name.into()),
            container_id,
            cmdline: cmdline.map(|cmdline| arguments(&cmdline).into()),
            exe: exe.map(Arc::from),
        }
    }

    fn user(&mut self, uid: u32) -> Arc<str> {
        let users = self
            .users
            .get_or_insert_with(|| users::parse(&fs::read_to_string("/etc/passwd").unwrap_or_default()));
        Arc::clone(users.entry(uid).or_insert_with(|| uid.to_string().into()))
    }

    fn item(&mut self, pid: u32, kind: &str, item: u64) -> Option<String> {
        match kind {
            "thread" | "waiting_thread" => examples::thread(pid, item),
            "mapping" | "brk_grow" | "first_touch" => None,
            _ => {
                let namespace = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
                let sockets = self
                    .sockets
                    .entry(namespace)
                    .or_insert_with(|| Sockets::read(pid));
                examples::descriptor(pid, item, sockets)
            }
        }
    }

    fn not_resident(&mut self, pid: u32, pages: &[u64]) -> Vec<u64> {
        pagemap::not_resident(pid, pages)
    }
}

impl Procfs {
    /// A tick begins: what changes from one to the next is read again.
    pub fn begin_tick(&mut self) {
        self.sockets.clear();
    }

    /// Reads the user database again when it is next asked for.
    pub fn forget_users(&mut self) {
        self.users = None;
    }
}

fn arguments(cmdline: &[u8]) -> String {
    let cmdline = &cmdline[..cmdline.len().min(MAX_CMDLINE)];
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    let spaced: Vec<u8> = cmdline
        .iter()
        .map(|&byte| if byte == 0 { b' ' } else { byte })
        .collect();
    sanitize::text(&spaced)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Facts as _, Procfs, arguments};

    #[test]
    fn this_process_is_found() {
        let facts = Procfs::default().process(std::process::id());
        assert_eq!(
            facts.exe,
            std::env::current_exe()
                .ok()
                .map(|exe| Arc::from(exe.display().to_string()))
        );
        assert_eq!(facts.runtime, None);
        assert_eq!(facts.allocator.as_deref(), Some("glibc"));
        assert!(facts.cmdline.is_some());
        let build_id = facts.build_id.expect("linkers write one");
        assert!(build_id.len() >= 16 && build_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn arguments_are_joined_and_safe() {
        assert_eq!(arguments(b"a\0b c\0"), "a b c");
        assert_eq!(arguments(b"a\0\x1b[31m\0"), "a \u{fffd}[31m");
        assert_eq!(arguments(b""), "");
    }
}
