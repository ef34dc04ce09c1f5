//! Which function to name for a call stack: the innermost one that somebody wrote for this program.
//!
//! Every descriptor is made in libc and every object by an allocator; whoever reads a report knows that. So frames are
//! sorted into three layers by the tables below, and the innermost frame of the program's own layer is named. Libraries
//! belong to the program: a connection pool is an answer.

mod scripts;

use crate::model::snapshot::FrameRow;

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// libc, the dynamic loader, the allocator, the compiler's support library.
    System,
    /// What a language brings along: its standard library, its scheduler, its interpreter.
    Runtime,
    /// All else.
    Program,
}

/// File names of shared libraries, up to the version.
const LIBRARIES: &[(Layer, &[&str])] = &[
    (
        Layer::System,
        &[
            "[vdso]",
            "ld-2.",
            "ld-linux",
            "ld-musl-",
            "ld.so",
            "libasan.so",
            "libc++.so",
            "libc++abi.so",
            "libc-2.",
            "libc.musl-",
            "libc.so",
            "libdl.so",
            "libgcc_s.so",
            "libjemalloc.so",
            "libm.so",
            "libmimalloc",
            "libnss_",
            "libpthread",
            "libresolv.so",
            "librt.so",
            "libstdc++.so",
            "libtcmalloc",
            "libunwind.so",
        ],
    ),
    (
        Layer::Runtime,
        &[
            "System.",
            "libSystem.",
            "libclrjit.so",
            "libcoreclr.so",
            "libffi.so",
            "libhostfxr.so",
            "libhostpolicy.so",
            "libjava.so",
            "libjli.so",
            "libjvm.so",
            "libnet.so",
            "libnio.so",
            "libnode.so",
            "libperl.so",
            "libphp",
            "libpython",
            "libruby",
            "libuv.so",
        ],
    ),
];

/// Executables that are an interpreter; a version may follow.
const INTERPRETERS: &[&str] = &[
    "beam.smp", "dotnet", "java", "lua", "node", "nodejs", "perl", "php", "php-fpm", "python", "ruby",
];

/// A directory of the interpreter's own extensions (CPython).
const EXTENSIONS: &str = "/lib-dynload/";

/// Functions of libc and allocators, for programs that contain them.
const SYSTEM_FUNCTIONS: &[&str] = &[
    "_start",
    "accept",
    "accept4",
    "aligned_alloc",
    "brk",
    "calloc",
    "clone",
    "clone3",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "fdopen",
    "fopen",
    "fopen64",
    "free",
    "inotify_init",
    "inotify_init1",
    "malloc",
    "memalign",
    "memfd_create",
    "mmap",
    "mmap64",
    "mremap",
    "open",
    "open64",
    "openat",
    "openat64",
    "opendir",
    "pipe",
    "pipe2",
    "popen",
    "posix_memalign",
    "pthread_create",
    "realloc",
    "reallocarray",
    "sbrk",
    "signalfd",
    "socket",
    "socketpair",
    "start_thread",
    "strdup",
    "strndup",
    "syscall",
    "sysmalloc",
    "timerfd_create",
    "valloc",
];

/// How the qualified names of such functions begin.
const PREFIXES: &[(Layer, &[&str])] = &[
    (
        Layer::System,
        &[
            "_IO_",
            "__cxa_",
            "__gnu_cxx::",
            "__libc_",
            "__mmap",
            "__open",
            "__pthread_",
            "__rdl_",
            "__rg_",
            "__rust_",
            "__rustc::",
            "__syscall",
            "__vdso_",
            "_int_malloc",
            "_int_realloc",
            "_mi_",
            "_rjem_",
            "je_",
            "mi_",
            "operator delete",
            "operator new",
            "tc_",
            "tcmalloc::",
        ],
    ),
    (
        Layer::Runtime,
        &[
            // C++ and Rust.
            "std::",
            "__rust_begin_short_backtrace",
            "alloc::",
            "compiler_builtins::",
            "core::",
            "hashbrown::",
            // Rust's event loops: they open what a task asked for.
            "mio::",
            "socket2::",
            "tokio::",
            // cgo.
            "_cgo_",
            "crosscall",
            "x_cgo_",
            // Java, as a perf map has it.
            "java.",
            "javax.",
            "jdk.",
            "sun.",
            // .NET.
            "Internal.",
            "Microsoft.",
            "System.",
            // CPython, Node, V8 when they are linked in.
            "Py",
            "_Py",
            "node::",
            "uv_",
            "v8::",
        ],
    ),
];

/// JavaScript of Node itself, in the names of a perf map: `JS:~onconnection node:net:1`.
const NODE_OWN: &str = " node:";
/// First elements of the import paths of Go's standard library.
const GO_STANDARD: &[&str] = &[
    "archive",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "type:",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

/// What C compilers append to the names of functions that they split or copy.
const CLONES: &[&str] = &[".cold", ".constprop.", ".isra.", ".llvm.", ".lto_priv.", ".part."];

/// Name of the [`blamed`] function.
pub fn function(frames: &[FrameRow]) -> Option<String> {
    blamed(frames).and_then(|index| frames[index].function.clone())
}

/// The frame to show for a stack whose innermost frame comes first: the innermost named frame of the program; without one
/// the innermost unnamed frame in a file of the program, whose place says more than the name of a start function; without
/// one the innermost named frame of the runtime, then of anything. `None` when nothing has a name.
pub fn blamed(frames: &[FrameRow]) -> Option<usize> {
    let layers: Vec<Layer> = frames.iter().map(layer).collect();
    let innermost = |is_right: &dyn Fn(&FrameRow, Layer) -> bool| {
        let mut all = frames.iter().zip(&layers);
        all.position(|(frame, &layer)| is_right(frame, layer))
    };
    let named = |wanted| move |frame: &FrameRow, layer: Layer| frame.function.is_some() && layer >= wanted;
    let in_a_file = |frame: &FrameRow, layer| layer == Layer::Program && frame.module.starts_with('/');
    innermost(&named(Layer::Program))
        .or_else(|| innermost(&in_a_file))
        .or_else(|| innermost(&named(Layer::Runtime)))
        .or_else(|| innermost(&named(Layer::System)))
}

/// Whether a function of the program is in a stack, by its name.
pub fn is_of_program(frames: &[FrameRow]) -> bool {
    let mut named = frames.iter().filter(|frame| frame.function.is_some());
    named.any(|frame| layer(frame) == Layer::Program)
}

fn layer(frame: &FrameRow) -> Layer {
    if let Some(layer) = scripts::layer(&frame.module, frame.file.as_deref()) {
        return layer;
    }
    let of_module = layer_of_module(&frame.module);
    let of_function = frame.function.as_deref().map(|function| {
        let suffix = frame.file.as_deref().map(|file| file.rsplit('.').next());
        layer_of_function(function, matches!(suffix, None | Some(Some("go" | "s"))))
    });
    of_module.min(of_function.unwrap_or(Layer::Program))
}

fn layer_of_module(path: &str) -> Layer {
    let path = path.trim_end_matches(" (deleted)");
    let file = path.rsplit('/').next().unwrap_or(path);
    let without_version = file.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if path.contains(EXTENSIONS) || INTERPRETERS.contains(&without_version) {
        return Layer::Runtime;
    }
    by_prefix(LIBRARIES, file)
}

/// `is_go`: whether the source file speaks for Go, or is not known.
fn layer_of_function(function: &str, is_go: bool) -> Layer {
    let function = CLONES
        .iter()
        .filter_map(|clone| function.find(clone))
        .min()
        .map_or(function, |end| &function[..end]);
    let name = qualified(function);
    let name = if function.starts_with("operator ") {
        function
    } else {
        name
    };
    if SYSTEM_FUNCTIONS.contains(&name) {
        return Layer::System;
    }
    let is_standard = is_go && go_package(name).is_some_and(|first| GO_STANDARD.contains(&first));
    if is_standard || function.contains(NODE_OWN) {
        return Layer::Runtime;
    }
    by_prefix(PREFIXES, own_type(name))
}

fn by_prefix(table: &[(Layer, &[&str])], text: &str) -> Layer {
    let row = table
        .iter()
        .find(|(_, prefixes)| prefixes.iter().any(|prefix| text.starts_with(prefix)));
    row.map_or(Layer::Program, |(layer, _)| *layer)
}

/// A C++ or Java name without the type that it returns and the types that it takes: `void std::sort<int>(int)` is
/// `std::sort<int>`.
fn qualified(name: &str) -> &str {
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in name.char_indices() {
        match c {
            ' ' if depth == 0 => start = at + 1,
            '(' if depth == 0 && at > start => return &name[start..at],
            '<' | '{' | '(' | '[' => depth += 1,
            '>' | '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    // An unbalanced operator (`operator<`): the name as it is.
    if depth == 0 { &name[start..] } else { name }
}

/// The type that a Rust method belongs to: `<&mut std::fs::File as std::io::Read>::read` is `std::fs::File as ...`.
fn own_type(name: &str) -> &str {
    let Some(inner) = name.strip_prefix('<') else {
        return name;
    };
    let inner = inner.trim_start_matches(['&', '*', '(', '[', '<']);
    ["mut ", "const ", "dyn "]
        .iter()
        .fold(inner, |inner, word| inner.strip_prefix(word).unwrap_or(inner))
}

/// The first element of a Go function's import path: `net` of `net/http.(*Server).Serve`.
fn go_package(name: &str) -> Option<&str> {
    if name.contains("::") {
        return None;
    }
    let path = name.split_once('.')?.0;
    path.split('/').next()
}

#[cfg(test)]
mod tests;
