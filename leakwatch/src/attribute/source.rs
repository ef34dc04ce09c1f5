//! Facts from `/proc`: the one part of this stage that does I/O.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
    sync::Arc,
};

use memmap2::Mmap;
use object::{
    Object as _,
    elf::NT_GNU_BUILD_ID,
    read::elf::{ElfFile64, SectionHeader as _},
};

use super::{
    Facts, ProcessFacts, container,
    examples::{self, Sockets},
    pagemap,
    runtime::{self, Evidence},
    unit, users,
};
use crate::model::sanitize;

/// Longest command line that is kept, bytes.
const MAX_CMDLINE: usize = 4096;
/// Executables that are remembered; then the memory starts afresh.
const MAX_EXECUTABLES: usize = 4096;
/// Longest build id, bytes. GNU's have 20, Go's about 83.
const MAX_BUILD_ID: usize = 128;
/// `NT_GO_BUILD_ID` of cmd/internal/buildid; its owner is `Go`.
const NT_GO_BUILD_ID: u32 = 4;

/// Reads `/proc`.
#[derive(Debug, Default)]
pub struct Procfs {
    users: Option<HashMap<u32, Arc<str>>>,
    /// By device and inode.
    executables: HashMap<(u64, u64), Executable>,
    /// By network namespace, of this tick.
    sockets: HashMap<PathBuf, Sockets>,
}

/// What an executable says of itself.
#[derive(Clone, Debug, Default)]
struct Executable {
    is_go: bool,
    build_id: Option<Arc<str>>,
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
        let exe_name = exe
            .as_deref()
            .and_then(|exe| exe.rsplit('/').next())
            .unwrap_or("");
        let executable = self.executable(pid).unwrap_or_default();
        let container_id = container::id(&cgroup).map(Arc::from);
        ProcessFacts {
            // A container is a unit to systemd as well, by its id.
            unit: unit::name(&cgroup)
                .filter(|_| container_id.is_none())
                .map(|unit| sanitize::text(unit.as_bytes()).into()),
            build_id: executable.build_id,
            runtime: runtime::name(&Evidence {
                exe_name: exe_name.trim_end_matches(" (deleted)"),
                maps: &String::from_utf8_lossy(&maps),
                go_build_info: executable.is_go,
            })
            .map(Arc::from),
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

    fn executable(&mut self, pid: u32) -> Option<Executable> {
        // The link itself: it opens the very file, whatever mount namespace its path is in, or even if it was deleted.
        let file = File::open(format!("/proc/{pid}/exe")).ok()?;
        let metadata = file.metadata().ok()?;
        let key = (metadata.dev(), metadata.ino());
        if let Some(known) = self.executables.get(&key) {
            return Some(known.clone());
        }
        if self.executables.len() == MAX_EXECUTABLES {
            self.executables.clear();
        }
        let executable = read_executable(&file).unwrap_or_default();
        self.executables.insert(key, executable.clone());
        Some(executable)
    }
}

fn read_executable(file: &File) -> Option<Executable> {
    // SAFETY: mapped read-only and privately. If the file is truncated meanwhile a read may raise SIGBUS; the kernel refuses
    // to write to or truncate the executable of a running process (ETXTBSY), and this is one.
    let data = unsafe { Mmap::map(file) }.ok()?;
    let elf = ElfFile64::<object::Endianness>::parse(&*data).ok()?;
    Some(Executable {
        is_go: elf.section_by_name(".go.buildinfo").is_some(),
        build_id: build_id(&elf),
    })
}

fn build_id(elf: &ElfFile64<'_, object::Endianness>) -> Option<Arc<str>> {
    let endian = elf.endian();
    let (mut gnu, mut go) = (None, None);
    for section in elf.elf_section_table().iter() {
        let Ok(Some(mut notes)) = section.notes(endian, elf.data()) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            match (note.name(), note.n_type(endian)) {
                (b"GNU", NT_GNU_BUILD_ID) => gnu = Some(note.desc()),
                (b"Go", NT_GO_BUILD_ID) => go = Some(note.desc()),
                _ => {}
            }
        }
    }
    let id = gnu.or(go).filter(|id| id.len() <= MAX_BUILD_ID)?;
    let mut digits = String::with_capacity(2 * id.len());
    for byte in id {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Some(digits.into())
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
