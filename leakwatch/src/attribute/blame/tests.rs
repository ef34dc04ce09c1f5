//! Stacks as they were taken from real programs, innermost frame first.

use super::{blamed, is_of_program};
use crate::model::snapshot::FrameRow;

/// Frames from `MODULE FUNCTION` lines; `?` is a frame without a name.
fn stack(text: &str) -> Vec<FrameRow> {
    let frame = |line: &str| {
        let (module, function) = line.trim().split_once(' ').unwrap();
        FrameRow {
            function: (function != "?").then(|| function.to_owned()),
            file: None,
            line: None,
            module: module.to_owned(),
            build_id: None,
            address: 0,
            inlined: false,
            reason: None,
        }
    };
    text.trim().lines().map(frame).collect()
}

#[track_caller]
fn assert_blames(text: &str, expected: &str) {
    let frames = stack(text);
    let blamed = blamed(&frames).map(|at| frames[at].function.as_deref().unwrap_or("?"));
    assert_eq!(blamed, Some(expected));
}

#[test]
fn c_past_libc() {
    assert_blames(
        "/lib/x86_64-linux-gnu/libc.so.6 __open64_nocancel
         /lib/x86_64-linux-gnu/libc.so.6 _IO_file_fopen
         /lib/x86_64-linux-gnu/libc.so.6 fopen
         /opt/app/server load_config
         /opt/app/server main
         /lib/x86_64-linux-gnu/libc.so.6 __libc_start_call_main",
        "load_config",
    );
}

#[test]
fn c_linked_statically_with_its_allocator() {
    assert_blames(
        "/opt/app/static __mmap
         /opt/app/static sysmalloc
         /opt/app/static _int_malloc
         /opt/app/static malloc
         /opt/app/static grow_table.constprop.0
         /opt/app/static main
         /opt/app/static __libc_start_call_main
         /opt/app/static _start",
        "grow_table.constprop.0",
    );
}

#[test]
fn cpp_past_templates_of_the_standard_library() {
    assert_blames(
        "/usr/lib/libjemalloc.so.2 je_malloc_default
         /usr/lib/libstdc++.so.6.0.30 operator new(unsigned long)
         /opt/app/worker std::__new_allocator<Item>::allocate(unsigned long, void const*)
         /opt/app/worker void std::vector<Item, std::allocator<Item> >::_M_realloc_insert<Item const&>(Item*, Item const&)
         /opt/app/worker (anonymous namespace)::Cache::put(std::string const&)
         /opt/app/worker main",
        "(anonymous namespace)::Cache::put(std::string const&)",
    );
    assert_blames(
        "/opt/app/worker operator new(unsigned long)
         /opt/app/worker std::function<void (int)>::operator()(int) const
         /opt/app/worker Pool::operator<(Pool const&)",
        "Pool::operator<(Pool const&)",
    );
}

#[test]
fn rust_past_std_and_traits() {
    assert_blames(
        "/lib/libc.so.6 open64
         /opt/app/agent std::sys::fs::unix::File::open_c
         /opt/app/agent std::fs::OpenOptions::_open
         /opt/app/agent <&std::fs::File as std::io::Read>::read
         /opt/app/agent <agent::Watcher as core::iter::traits::iterator::Iterator>::next
         /opt/app/agent core::ops::function::FnOnce::call_once
         /opt/app/agent std::rt::lang_start_internal
         /opt/app/agent main",
        "<agent::Watcher as core::iter::traits::iterator::Iterator>::next",
    );
    assert_blames(
        "/lib/libc.so.6 malloc
         /opt/app/agent __rustc::__rdl_alloc
         /opt/app/agent <alloc::vec::Vec<agent::Row> as core::clone::Clone>::clone
         /opt/app/agent alloc::raw_vec::RawVec<T,A>::grow_one
         /opt/app/agent agent::collect::{closure#0}",
        "agent::collect::{closure#0}",
    );
}

#[test]
fn go_past_the_standard_library() {
    assert_blames(
        "/opt/app/api internal/runtime/syscall.Syscall6
         /opt/app/api syscall.Syscall6
         /opt/app/api syscall.openat
         /opt/app/api os.openFileNolog
         /opt/app/api os.Open
         /opt/app/api main.(*server).handle
         /opt/app/api net/http.HandlerFunc.ServeHTTP
         /opt/app/api net/http.(*conn).serve
         /opt/app/api runtime.goexit",
        "main.(*server).handle",
    );
    assert_blames(
        "/opt/app/api syscall.Socket
         /opt/app/api net.(*Dialer).DialContext
         /opt/app/api github.com/jackc/pgx/v5/pgconn.connect
         /opt/app/api main.main",
        "github.com/jackc/pgx/v5/pgconn.connect",
    );
}

#[test]
fn whether_the_program_is_in_a_stack() {
    let collector = "/opt/app/api runtime.sysMmap
         /opt/app/api runtime.(*mheap).grow
         /opt/app/api runtime.goexit";
    let own = "/opt/app/api runtime.mallocgc
         /opt/app/api main.keep
         /opt/app/api runtime.goexit";
    assert!(is_of_program(&stack(own)) && !is_of_program(&stack(collector)));
    assert!(!is_of_program(&stack("/opt/app/api ?")) && !is_of_program(&[]));
}

#[test]
fn a_c_file_is_not_go() {
    let mut frames = stack("/opt/app/x log.flush\n/opt/app/x main");
    frames[0].file = Some("src/log.c".to_owned());
    assert_eq!(blamed(&frames), Some(0));
}

#[test]
fn interpreters_only_when_there_is_nothing_better() {
    assert_blames(
        "/lib/libc.so.6 accept4
         /usr/lib/python3.11/lib-dynload/_socket.cpython-311-x86_64-linux-gnu.so sock_accept
         /usr/bin/python3.11 cfunction_vectorcall_NOARGS
         /usr/bin/python3.11 _PyEval_EvalFrameDefault
         /usr/bin/python3.11 Py_RunMain
         /lib/libc.so.6 __libc_start_call_main",
        "sock_accept",
    );
    assert_blames(
        "/lib/libc.so.6 open64
         /usr/bin/node uv_fs_open
         /usr/bin/node node::fs::Open(v8::FunctionCallbackInfo<v8::Value> const&)
         [anon] JS:~openSync node:fs:560
         [anon] JS:*storeSession /srv/leak.js:12
         /usr/bin/node v8::Function::Call(v8::Local<v8::Context>)",
        "JS:*storeSession /srv/leak.js:12",
    );
    assert_blames(
        "/lib/libc.so.6 __socket
         /usr/lib/jvm/java-17/lib/libnet.so NET_Socket
         [anon] void java.net.Socket.connect(java.net.SocketAddress)
         [anon] void shop.HttpPool.connect()
         /usr/lib/jvm/java-17/lib/server/libjvm.so JavaCalls::call_helper",
        "void shop.HttpPool.connect()",
    );
    assert_blames(
        "/lib/libc.so.6 open64
         /opt/dotnet/shared/Microsoft.NETCore.App/3.1.23/System.Native.so SystemNative_Open
         [anon] ?
         [dotnet] System.IO.FileStream.OpenHandle
         [dotnet] Shop.Uploads.Handle
         /opt/dotnet/shared/Microsoft.NETCore.App/3.1.23/libcoreclr.so CallDescrWorkerInternal
         /opt/dotnet/shared/Microsoft.NETCore.App/3.1.23/libhostpolicy.so corehost_main
         /opt/dotnet/dotnet ?",
        "Shop.Uploads.Handle",
    );
}

#[test]
fn code_without_names() {
    // Stripped: the place of the call, and not what started the thread.
    assert_blames(
        "/lib/libc.so.6 __socket
         /usr/sbin/daemon ?
         /usr/sbin/daemon ?
         /lib/libc.so.6 __libc_start_call_main",
        "?",
    );
    assert_eq!(
        blamed(&stack(
            "/lib/libc.so.6 socket\n/usr/sbin/daemon ?\n/usr/sbin/daemon ?"
        )),
        Some(1)
    );
    // A library's name is better than an unnamed place.
    assert_blames(
        "/lib/libc.so.6 socket\n/usr/sbin/daemon ?\n/usr/lib/libpq.so.5 PQconnect",
        "PQconnect",
    );
    // JIT code without a map has neither.
    assert_blames(
        "/lib/libc.so.6 open64\n/usr/bin/node uv_fs_open\n[anon] ?",
        "uv_fs_open",
    );
    assert_blames("/lib/libc.so.6 clone3\n[anon] ?", "clone3");
    assert_eq!(blamed(&stack("[anon] ?\n[vdso] ?")), None);
    assert_eq!(blamed(&[]), None);
}

#[test]
fn javascript_past_nodes_own() {
    let mut frames = stack(
        "/usr/bin/node node::fs::Open(v8::FunctionCallbackInfo<v8::Value> const&)
         [node] openSync
         [node] forEach
         [node] handleUpload
         [node] processTimers
         /usr/bin/node uv_run",
    );
    for (at, file) in [(1, "node:fs"), (3, "/srv/app.js"), (4, "node:internal/timers")] {
        frames[at].file = Some(file.to_owned());
    }
    assert_eq!(blamed(&frames), Some(3));
    // Without a function of the program's, node's own say more than those of the machine.
    frames.remove(3);
    assert_eq!(blamed(&frames), Some(0));
}

/// Frames of Python from `FILE FUNCTION` lines.
fn python(text: &str) -> Vec<FrameRow> {
    let frame = |mut frame: FrameRow| {
        frame.file = Some(std::mem::replace(&mut frame.module, "[python]".to_owned()));
        frame
    };
    stack(text).into_iter().map(frame).collect()
}

#[test]
fn python_past_its_standard_library() {
    let mut frames = stack("/usr/lib/x86_64-linux-gnu/libc.so.6 __open64");
    frames.extend(python(
        "/usr/lib/python3.11/socket.py create_connection
         /usr/lib/python3.11/http/client.py HTTPConnection.connect
         /srv/shop/pool.py Pool.get
         /usr/lib/python3.11/threading.py Thread.run",
    ));
    assert_eq!(super::function(&frames).as_deref(), Some("Pool.get"));
}

#[test]
fn python_packages_are_the_programs_own() {
    for file in [
        "/usr/lib/python3/dist-packages/urllib3/connection.py",
        "/home/a/venv/lib/python3.12/site-packages/urllib3/connection.py",
        "/srv/lib/python/handler.py",
        "<stdin>",
    ] {
        let frames = python(&format!(
            "/usr/local/lib/python3.12/socket.py socket\n{file} connect"
        ));
        assert_eq!(super::function(&frames).as_deref(), Some("connect"), "{file}");
    }
}

#[test]
fn python_frozen_code_is_of_the_interpreter() {
    let mut frames = python("<frozen_importlib> _find");
    frames[0].file = Some("<frozen importlib._bootstrap>".to_owned());
    frames.extend(python("/srv/main.py <module>"));
    assert_eq!(super::function(&frames).as_deref(), Some("<module>"));
}
