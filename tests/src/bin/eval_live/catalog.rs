//! Which programs run, what each leaks or takes, and what must be found.

use leakwatch::model::finding::Resource;

/// What a program is written in; its name is that of its directory in `tests/programs/live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Rust,
    Go,
    Java,
    Python,
    Node,
}

impl Language {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::Python => "Python",
            Self::Node => "Node",
        }
    }
}

/// One program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Of its source, without the extension.
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Whether the short suite has it too.
    pub(crate) quick: bool,
    pub(crate) role: Role,
}

/// What it is there for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It leaks, unless it is told to be its fixed twin.
    Leak(Leak),
    /// Healthy, and grows.
    Grower(Grower),
}

impl Role {
    /// What leaks, would leak, or grows.
    pub(crate) fn resource(self) -> Resource {
        match self {
            Self::Leak(leak) => leak.resource,
            Self::Grower(grower) => grower.resource,
        }
    }

    /// The same in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Leak(leak) => leak.what,
            Self::Grower(grower) => grower.what,
        }
    }
}

/// Healthy growth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grower {
    pub(crate) resource: Resource,
    /// What is taken, in words.
    pub(crate) what: &'static str,
}

/// A leak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leak {
    pub(crate) resource: Resource,
    /// What leaks, in words.
    pub(crate) what: &'static str,
    /// Who takes it, as a developer would name the function.
    pub(crate) site: &'static str,
    /// Whether a run fails that does not find it: fast, and of a resource that is counted thing by thing.
    pub(crate) required: bool,
}

/// Descriptors and threads, which are counted thing by thing.
const fn things(resource: Resource, what: &'static str, site: &'static str) -> Role {
    Role::Leak(Leak {
        resource,
        what,
        site,
        required: true,
    })
}

/// Memory that an allocator or a runtime manages: nothing counts its objects.
const fn objects(what: &'static str, site: &'static str) -> Role {
    Role::Leak(Leak {
        resource: Resource::Memory,
        what,
        site,
        required: false,
    })
}

/// A leak that is too slow for a short run.
const fn slow(role: Role) -> Role {
    match role {
        Role::Leak(leak) => Role::Leak(Leak {
            required: false,
            ..leak
        }),
        Role::Grower(_) => role,
    }
}

const fn grower(resource: Resource, what: &'static str) -> Role {
    Role::Grower(Grower { resource, what })
}

const fn case(language: Language, name: &'static str, rate: u32, role: Role) -> Case {
    Case {
        name,
        language,
        rate,
        quick: false,
        role,
    }
}

/// Also in the short suite.
const fn quick(case: Case) -> Case {
    Case { quick: true, ..case }
}

const REOPENED: Role = things(Resource::Fd, "its log, opened again", "reopen_log");
const HUNG_UP: Role = things(
    Resource::Fd,
    "TCP in CLOSE_WAIT",
    "close_wait::Server::accept_client",
);
const LOST: Role = things(Resource::Thread, "threads on a queue", "wait_for_result");

/// All programs.
pub(crate) const CASES: &[Case] = &[
    quick(case(Language::C, "log_reopen", 200, REOPENED)),
    case(Language::C, "log_reopen", 20, slow(REOPENED)),
    case(
        Language::C,
        "resolver",
        250,
        things(Resource::Fd, "UDP sockets", "resolve_name"),
    ),
    case(
        Language::C,
        "job_events",
        330,
        things(Resource::Fd, "eventfds", "run_job"),
    ),
    quick(case(
        Language::C,
        "render",
        250,
        things(Resource::Memory, "mappings of 128 KiB", "render_job"),
    )),
    case(
        Language::C,
        "orders",
        2_000,
        objects("malloc, 32 to 159 bytes", "parse_order"),
    ),
    quick(case(Language::Rust, "close_wait", 200, HUNG_UP)),
    case(Language::Rust, "close_wait", 20, slow(HUNG_UP)),
    case(
        Language::Rust,
        "lost_replies",
        250,
        things(
            Resource::Thread,
            "threads on a channel",
            "lost_replies::serve_request",
        ),
    ),
    case(
        Language::Rust,
        "price_cache",
        500,
        objects("HashMap of Vec<u8>", "price_cache::render_page"),
    ),
    quick(case(
        Language::Go,
        "bodies",
        330,
        things(Resource::Fd, "HTTP connections", "net/http.(*Transport).dial"),
    )),
    case(
        Language::Go,
        "late_results",
        400,
        objects("goroutines with 64 KiB", "main.buildReport"),
    ),
    case(
        Language::Go,
        "carts",
        500,
        objects("map of small objects", "main.fillCart"),
    ),
    case(
        Language::Java,
        "Listeners",
        1_300,
        objects("HashSet of listeners", "Listeners.openPage"),
    ),
    quick(case(
        Language::Java,
        "Reports",
        200,
        things(Resource::Thread, "threads of executors", "Reports.build"),
    )),
    case(
        Language::Java,
        "BorrowedSockets",
        200,
        things(Resource::Fd, "TCP in CLOSE_WAIT", "BorrowedSockets.borrow"),
    ),
    quick(case(
        Language::Python,
        "failed_uploads",
        200,
        things(Resource::Fd, "files held by exceptions", "read_upload"),
    )),
    case(Language::Python, "waiting_threads", 200, LOST),
    case(Language::Python, "waiting_threads", 20, slow(LOST)),
    case(
        Language::Python,
        "subscribers",
        600,
        objects("dict of closures", "load_rows"),
    ),
    quick(case(
        Language::Node,
        "uploads",
        200,
        things(Resource::Fd, "files", "readUpload"),
    )),
    case(
        Language::Node,
        "half_open",
        200,
        things(Resource::Fd, "TCP in CLOSE_WAIT", "server"),
    ),
    case(
        Language::Node,
        "page_cache",
        400,
        objects("Map of arrays", "renderPage"),
    ),
    case(
        Language::C,
        "write_buffer",
        800,
        grower(Resource::Memory, "buffer, flushed every 20 s"),
    ),
    case(
        Language::C,
        "block_cache",
        10,
        grower(Resource::Memory, "cache of mappings up to its cap"),
    ),
    quick(case(
        Language::Rust,
        "connection_pool",
        100,
        grower(Resource::Fd, "connections up to 120"),
    )),
    quick(case(
        Language::Rust,
        "thread_pool",
        200,
        grower(Resource::Thread, "threads up to 90"),
    )),
    quick(case(
        Language::Go,
        "sessions",
        3,
        grower(Resource::Fd, "sessions up to 400, in use"),
    )),
    case(
        Language::Go,
        "garbage",
        200,
        grower(Resource::Memory, "garbage, collected late"),
    ),
    quick(case(
        Language::Java,
        "HeapWarmUp",
        200,
        grower(Resource::Memory, "heap up to its natural size"),
    )),
    case(
        Language::Java,
        "SizedCache",
        70,
        grower(Resource::Memory, "cache up to its cap"),
    ),
    case(
        Language::Python,
        "imports",
        100,
        grower(Resource::Memory, "modules, then nothing"),
    ),
    case(
        Language::Python,
        "sized_cache",
        150,
        grower(Resource::Memory, "cache up to its cap"),
    ),
    case(
        Language::Node,
        "warm_up",
        100,
        grower(Resource::Memory, "compiled code for a minute"),
    ),
];

#[cfg(test)]
mod tests {
    use super::{CASES, Role};

    #[test]
    fn there_are_as_many_as_the_page_says() {
        let leaks = CASES.iter().filter(|case| matches!(case.role, Role::Leak(_)));
        assert!(leaks.count() >= 12);
        let growers = CASES.iter().filter(|case| matches!(case.role, Role::Grower(_)));
        assert!(growers.count() >= 8);
    }

    #[test]
    fn a_required_leak_is_fast() {
        for case in CASES {
            if let Role::Leak(leak) = case.role {
                assert!(!leak.required || case.rate >= 200, "{}", case.name);
            }
        }
    }

    #[test]
    fn every_program_has_a_source() {
        for case in CASES {
            let source = crate::build::source(case);
            assert!(leakwatch_tests::leaks::path(&source).is_file(), "{source}");
        }
    }
}
