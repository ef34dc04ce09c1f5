//! What tells runtimes and allocators apart: symbols that only they define, and what their libraries are called.

use super::versions::VersionIn;
use crate::model::runtime;

/// A language runtime.
pub(super) struct Runtime {
    pub(super) name: &'static str,
    /// One of these is defined by the file that holds it.
    pub(super) symbols: &'static [&'static str],
    /// How the names of its libraries begin. Only files of these names are looked into; their symbols decide.
    pub(super) libraries: &'static [&'static str],
    /// Where its version is, the most exact first.
    pub(super) version: &'static [VersionIn],
}

/// What `malloc` is.
pub(super) struct Allocator {
    pub(super) name: &'static str,
    /// One of these is defined by the file that holds it.
    pub(super) symbols: &'static [&'static str],
    /// How the names of its libraries begin.
    pub(super) libraries: &'static [&'static str],
    /// Where its version is.
    pub(super) version: &'static [VersionIn],
}

/// What is in the executable names the process; else the first of these that is in a library: who embeds a small language in
/// a large runtime is the large one. Go comes before all of them and is told by a section, see [`super::go`].
pub(super) const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: runtime::JAVA,
        symbols: &["JVM_IHashCode"],
        libraries: &["libjvm.so"],
        // `Abstract_VM_Version::internal_vm_info_string`, in every build since JDK 6.
        version: &[VersionIn::After(b" JRE (")],
    },
    Runtime {
        name: runtime::DOTNET,
        symbols: &[
            "coreclr_initialize",
            "DotNetRuntimeInfo",
            "DotNetRuntimeDebugHeader",
        ],
        libraries: &["libcoreclr.so"],
        version: &[VersionIn::Directory],
    },
    Runtime {
        name: runtime::PYTHON,
        symbols: &["_PyRuntime", "_PyThreadState_Current"],
        libraries: &["libpython"],
        // `Py_Version` is there from 3.11; before, PY_VERSION is text of its own.
        version: &[
            VersionIn::PythonNumber("Py_Version"),
            VersionIn::Alone(b"3."),
            VersionIn::Alone(b"2.7."),
            VersionIn::FileName("libpython"),
        ],
    },
    Runtime {
        name: runtime::NODE,
        // node::Start(int, char**).
        symbols: &["_ZN4node5StartEiPPc"],
        libraries: &["libnode.so"],
        version: &[VersionIn::Alone(b"v")],
    },
    Runtime {
        name: runtime::V8,
        symbols: &["v8dbg_SmiTag"],
        libraries: &["libv8"],
        version: &[],
    },
    Runtime {
        name: runtime::ERLANG,
        symbols: &["etp_otp_release"],
        libraries: &[],
        version: &[VersionIn::Text("etp_otp_release")],
    },
    Runtime {
        name: runtime::RUBY,
        symbols: &["ruby_version"],
        libraries: &["libruby"],
        version: &[VersionIn::Text("ruby_version")],
    },
    Runtime {
        name: runtime::PHP,
        symbols: &["executor_globals", "executor_globals_offset"],
        libraries: &["libphp"],
        // SAPI_PHP_VERSION_HEADER.
        version: &[VersionIn::After(b"X-Powered-By: PHP/")],
    },
    Runtime {
        name: runtime::PERL,
        symbols: &["PL_thr_key", "Perl_runops_standard"],
        libraries: &["libperl.so"],
        version: &[VersionIn::Bytes(["PL_revision", "PL_version", "PL_subversion"])],
    },
    Runtime {
        name: runtime::LUAJIT,
        symbols: &["luaJIT_setmode"],
        libraries: &["libluajit"],
        version: &[VersionIn::After(b"LuaJIT ")],
    },
    Runtime {
        name: runtime::LUA,
        symbols: &["lua_newstate", "luaV_execute"],
        libraries: &["liblua"],
        version: &[VersionIn::After(b"$LuaVersion: Lua ")],
    },
];

/// Replacements come first: a process that has one maps its C library as well.
pub(super) const ALLOCATORS: &[Allocator] = &[
    Allocator {
        name: runtime::JEMALLOC,
        symbols: &["_rjem_mallctl", "je_mallctl", "mallctl"],
        libraries: &["libjemalloc"],
        version: &[],
    },
    Allocator {
        name: runtime::TCMALLOC,
        symbols: &["tc_malloc", "TCMallocInternalMalloc"],
        libraries: &["libtcmalloc"],
        version: &[],
    },
    Allocator {
        name: runtime::MIMALLOC,
        symbols: &["mi_malloc"],
        libraries: &["libmimalloc"],
        version: &[],
    },
    Allocator {
        name: runtime::MUSL,
        // Its getopt has `__optpos`; `__malloc_allzerop` is there when it is linked statically.
        symbols: &["__optpos", "__malloc_allzerop"],
        libraries: &["ld-musl-", "libc.musl-", "libc.so"],
        version: &[],
    },
    Allocator {
        name: runtime::GLIBC,
        symbols: &["gnu_get_libc_version", "__libc_mallopt"],
        libraries: &["libc.so.6", "libc-2."],
        version: &[VersionIn::After(b" release version ")],
    },
];

/// Whether a file of this name may be one of those.
pub(super) fn may_be_known(file_name: &str) -> bool {
    let runtimes = RUNTIMES.iter().flat_map(|runtime| runtime.libraries);
    let mut libraries = runtimes.chain(ALLOCATORS.iter().flat_map(|allocator| allocator.libraries));
    libraries.any(|library| file_name.starts_with(library))
}
