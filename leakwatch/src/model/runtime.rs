//! What runtimes and allocators are called wherever leakwatch names one: in JSON, in labels of metrics, in filters.

/// Go.
pub const GO: &str = "go";
/// Java, on HotSpot.
pub const JAVA: &str = "java";
/// Python, on CPython.
pub const PYTHON: &str = "python";
/// JavaScript, on Node.
pub const NODE: &str = "node";
/// .NET, on CoreCLR.
pub const DOTNET: &str = "dotnet";
/// Erlang and whatever else runs on the BEAM.
pub const ERLANG: &str = "erlang";
/// Ruby.
pub const RUBY: &str = "ruby";
/// PHP.
pub const PHP: &str = "php";
/// Perl.
pub const PERL: &str = "perl";
/// Lua.
pub const LUA: &str = "lua";
/// Lua, on LuaJIT.
pub const LUAJIT: &str = "luajit";
/// Another program that has V8 in it.
pub const V8: &str = "v8";

/// The GNU C library's `malloc`.
pub const GLIBC: &str = "glibc";
/// musl's.
pub const MUSL: &str = "musl";
/// jemalloc.
pub const JEMALLOC: &str = "jemalloc";
/// tcmalloc, of gperftools or Google's own.
pub const TCMALLOC: &str = "tcmalloc";
/// mimalloc.
pub const MIMALLOC: &str = "mimalloc";

/// Those that answer when they are asked (`explain --attach`).
pub const CAN_BE_ASKED: [&str; 3] = [JAVA, DOTNET, NODE];

/// Those whose collector of garbage walks through all that is held, and so accesses what nobody uses any more.
pub const WITH_TRACING_COLLECTOR: [&str; 5] = [DOTNET, GO, JAVA, NODE, PYTHON];

/// All that can have books.
pub const WITH_BOOKS: [&str; 15] = [
    DOTNET, ERLANG, GLIBC, GO, JAVA, JEMALLOC, LUA, MIMALLOC, MUSL, NODE, PERL, PHP, PYTHON, RUBY, TCMALLOC,
];
