use std::{fs, io::Write as _};

use super::{file::FileFacts, *};

#[test]
fn this_process_is_native_on_glibc() {
    let maps = fs::read_to_string("/proc/self/maps").expect("own maps");
    let mut recogniser = Recogniser::default();
    let own = recogniser.process(std::process::id(), &maps);
    assert_eq!((own.runtime, own.runtime_version.clone()), (None, None));
    let allocator = own.allocator.clone().expect("libc is mapped");
    assert_eq!(allocator.name, "glibc");
    assert!(allocator.version.is_some_and(|version| version.starts_with("2.")));
    let build_id = own.build_id.clone().expect("linkers write one");
    assert!(build_id.len() >= 16 && build_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let files = recogniser.files.len();
    assert_eq!(recogniser.process(std::process::id(), &maps), own);
    assert_eq!(recogniser.files.len(), files, "they were remembered");
}

#[test]
fn libraries_are_looked_into_once_and_by_name_only_if_they_may_matter() {
    let maps = "\
1000-2000 r--p 00000000 08:01 1 /usr/lib/jvm/lib/server/libjvm.so
2000-3000 r-xp 00001000 08:01 1 /usr/lib/jvm/lib/server/libjvm.so
3000-4000 r-xp 00000000 08:01 2 /opt/a b/libpython3.11.so.1.0 (deleted)
4000-5000 r-xp 00000000 08:01 3 /usr/lib/libcrypto.so.3
5000-6000 rw-p 00000000 00:00 0 [heap]
x-y r-xp 00000000 08:01 3 /usr/lib/libruby.so
";
    let found: Vec<_> = libraries(maps)
        .into_iter()
        .map(|library| (library.path, library.mapping))
        .collect();
    assert_eq!(
        found,
        [
            ("/opt/a b/libpython3.11.so.1.0", (0x3000, 0x4000)),
            ("/usr/lib/jvm/lib/server/libjvm.so", (0x1000, 0x2000)),
        ]
    );
}

#[test]
fn cut_and_scrambled_files_say_nothing_wrong() {
    let whole = fs::read("/proc/self/exe").expect("own executable");
    let header = &whole[..whole.len().min(64 << 10)];
    let read = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        FileFacts::read(file, "/usr/lib/libpython3.11.so.1.0")
    };
    for length in (0..header.len()).step_by(997) {
        assert_eq!(read(&header[..length]).runtime, None);
    }
    let mut scrambled = header.to_vec();
    for at in 0x20..0x40 {
        scrambled[at] = 0xff;
        assert_eq!(read(&scrambled).runtime, None);
    }
}

#[test]
fn a_changed_file_is_another_one() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let before = FileId::of(&file.as_file().metadata().expect("there"));
    let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
    file.as_file().set_modified(later).expect("own file");
    assert_ne!(FileId::of(&file.as_file().metadata().expect("there")), before);
}
