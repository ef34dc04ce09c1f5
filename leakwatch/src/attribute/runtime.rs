//! The language runtime of a process, from its executable and what it maps; never from the name it gives itself.

/// What the classification looks at.
pub struct Evidence<'a> {
    /// File name of the executable.
    pub exe_name: &'a str,
    /// `/proc/PID/maps`.
    pub maps: &'a str,
    /// Whether the executable has a section `.go.buildinfo`.
    pub go_build_info: bool,
}

/// Libraries that only one runtime has.
const LIBRARIES: &[(&str, &str)] = &[
    ("/libjvm.so", "java"),
    ("/libcoreclr.so", "dotnet"),
    ("/libpython", "python"),
    ("/libruby", "ruby"),
    ("/libnode.so", "node"),
    ("/libperl.so", "perl"),
    ("/libphp", "php"),
    ("/liblua", "lua"),
];

/// Interpreters that are linked into their executable. A version may follow (`python3.11`).
const EXECUTABLES: &[(&str, &str)] = &[
    ("beam.smp", "erlang"),
    ("node", "node"),
    ("nodejs", "node"),
    ("python", "python"),
    ("ruby", "ruby"),
    ("perl", "perl"),
    ("php", "php"),
    ("php-fpm", "php"),
    ("luajit", "lua"),
    ("lua", "lua"),
];

/// Name of the runtime; `None` for native code and whatever is not known.
pub fn name(evidence: &Evidence<'_>) -> Option<&'static str> {
    if evidence.go_build_info {
        return Some("go");
    }
    let executable = evidence
        .exe_name
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let by_executable = EXECUTABLES
        .iter()
        .find(|(name, _)| *name == executable || *name == evidence.exe_name);
    let by_library = || {
        LIBRARIES
            .iter()
            .find(|(library, _)| evidence.maps.lines().any(|line| line.contains(library)))
    };
    by_executable.or_else(by_library).map(|(_, runtime)| *runtime)
}

#[cfg(test)]
mod tests {
    use super::{Evidence, name};

    fn of(exe_name: &str, maps: &str) -> Option<&'static str> {
        name(&Evidence {
            exe_name,
            maps,
            go_build_info: false,
        })
    }

    #[test]
    fn by_executable_and_by_library() {
        assert_eq!(of("python3.11", ""), Some("python"));
        assert_eq!(of("php-fpm8.2", ""), Some("php"));
        assert_eq!(of("beam.smp", ""), Some("erlang"));
        assert_eq!(
            of(
                "java",
                "7f0-7f1 r-xp 0 08:01 1 /usr/lib/jvm/lib/server/libjvm.so\n"
            ),
            Some("java")
        );
        assert_eq!(
            of("uwsgi", "7f0-7f1 r-xp 0 08:01 1 /usr/lib/libpython3.11.so.1.0\n"),
            Some("python")
        );
        assert_eq!(of("nginx", "7f0-7f1 r-xp 0 08:01 1 /usr/lib/libc.so.6\n"), None);
        assert_eq!(
            name(&Evidence {
                exe_name: "etcd",
                maps: "",
                go_build_info: true
            }),
            Some("go")
        );
    }
}
