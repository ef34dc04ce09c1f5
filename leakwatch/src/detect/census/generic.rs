//! Names that say little: what every program of a runtime holds, whatever it leaks. Beside one of the program's own they
//! come second, even if they are more.

use crate::model::{census::Counted, runtime};

/// Types of Python's own.
const PYTHON: [&str; 30] = [
    "BaseException",
    "Context",
    "OrderedDict",
    "ReferenceType",
    "async_generator",
    "bound_method",
    "builtin_function_or_method",
    "bytearray",
    "bytes",
    "cell",
    "code",
    "coroutine",
    "defaultdict",
    "deque",
    "dict",
    "frame",
    "frozenset",
    "function",
    "generator",
    "getset_descriptor",
    "list",
    "method",
    "method_descriptor",
    "module",
    "property",
    "set",
    "str",
    "tuple",
    "type",
    "wrapper_descriptor",
];
/// Classes of Ruby's own.
const RUBY: [&str; 8] = [
    "Array", "Hash", "Object", "Proc", "String", "Struct", "Symbol", "Thread",
];
/// Classes of JavaScript's own.
const JAVASCRIPT: [&str; 20] = [
    "Array",
    "ArrayBuffer",
    "BigInt",
    "Buffer",
    "Date",
    "Error",
    "FastBuffer",
    "Float64Array",
    "Function",
    "Map",
    "Object",
    "Promise",
    "RegExp",
    "Set",
    "String",
    "Symbol",
    "Uint8Array",
    "WeakMap",
    "WeakRef",
    "WeakSet",
];
/// In names of node's own functions.
const OF_NODE: &str = " (node:";
/// Where the libraries of a runtime begin.
const LIBRARIES: [(&str, &[&str]); 7] = [
    (runtime::JAVA, &["java.", "jdk.", "sun.", "com.sun.", "["]),
    (runtime::DOTNET, &["System.", "Microsoft."]),
    (runtime::GO, &["runtime.", "internal/", "sync.", "reflect."]),
    (runtime::PYTHON, &["builtins.", "collections.", "_"]),
    (runtime::RUBY, &["T_", "imemo"]),
    (runtime::NODE, &["("]),
    (runtime::ERLANG, &["erlang:", "proc_lib:", "gen_server:"]),
];
/// The same in C++, whichever allocator it uses.
const NATIVE: &str = "std::";

/// Whether a name says little about the program.
pub(super) fn is_generic(runtime: &str, counted: Counted, name: &str) -> bool {
    match counted {
        Counted::HeapSpace | Counted::SizeClass => return true,
        Counted::ThreadPool => return false,
        Counted::Goroutine
        | Counted::AllocationSite
        | Counted::Class
        | Counted::Type
        | Counted::BeamProcess => {}
    }
    let dotted = name.replace('/', ".");
    let is_of = |prefix: &&str| name.starts_with(*prefix) || dotted.starts_with(*prefix);
    let libraries = LIBRARIES.iter().filter(|(of, _)| *of == runtime);
    let words: &[&str] = match runtime {
        runtime::PYTHON => &PYTHON,
        runtime::RUBY => &RUBY,
        runtime::NODE => &JAVASCRIPT,
        _ => &[],
    };
    name.ends_with("[]")
        || name.starts_with(NATIVE)
        || (runtime == runtime::NODE && name.contains(OF_NODE))
        || words.contains(&name)
        || libraries.flat_map(|(_, prefixes)| prefixes.iter()).any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_runtime_is_told_from_what_belongs_to_the_program() {
        let cases = [
            ("java", Counted::Class, "[B", true),
            ("java", Counted::Class, "java/util/HashMap$Node", true),
            ("java", Counted::Class, "byte[]", true),
            ("java", Counted::Class, "LeakS$Session", false),
            ("python", Counted::Type, "dict", true),
            ("python", Counted::Type, "Session", false),
            ("node", Counted::Class, "(array)", true),
            ("node", Counted::Class, "Map", true),
            ("node", Counted::Class, "emit() (node:events)", true),
            ("node", Counted::Class, "onShutdown() (/srv/orders.js)", false),
            ("node", Counted::Class, "Session", false),
            ("go", Counted::Goroutine, "main.spawn (leak.go:41)", false),
            ("go", Counted::AllocationSite, "runtime.malg", true),
            ("glibc", Counted::Class, "std::string", true),
            ("glibc", Counted::SizeClass, "64", true),
            ("java", Counted::ThreadPool, "java.worker", false),
        ];
        for (runtime, counted, name, generic) in cases {
            assert_eq!(is_generic(runtime, counted, name), generic, "{name}");
        }
    }
}
