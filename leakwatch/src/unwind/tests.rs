//! The whole way on a live process: this one.

use std::{
    arch::asm,
    cell::{Cell, RefCell},
    collections::HashSet,
    hint::black_box,
    thread::sleep,
    time::{Duration, Instant},
};

use proptest::{
    prelude::{Just, Strategy, any, prop},
    prop_assert, prop_oneof,
    test_runner::{Config, TestRunner},
};

use super::{Image, Registers, Unwinder, frames::MAX_FRAMES, threads};
use crate::model::{
    identity::ProcessId,
    stack::{ModuleKind, Stack, StackEnd, StackId},
};

fn image(pid: u32) -> Image {
    let process = ProcessId {
        pid,
        start_time_ns: 0,
    };
    Image { process, exec_id: 0 }
}

/// Registers and stack of this thread, taken in a function that called itself `depth` times.
#[inline(never)]
fn take(depth: u32, memory: &mut Vec<u8>) -> Registers {
    if depth > 0 {
        return black_box(take(depth - 1, memory));
    }
    let (pc, sp, fp): (u64, u64, u64);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads registers, and nothing else.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) pc, out(reg) sp, out(reg) fp);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads registers, and nothing else.
    unsafe {
        asm!("adr {}, .", "mov {}, sp", "mov {}, x29", out(reg) pc, out(reg) sp, out(reg) fp);
    }
    threads::read(std::process::id(), sp, memory).expect("own memory");
    black_box(Registers { pc, sp, fp, lr: 0 })
}

/// The same of a new thread, from its start on.
fn taken(depth: u32) -> (Registers, Vec<u8>) {
    let thread = std::thread::spawn(move || {
        let mut memory = Vec::new();
        (take(depth, &mut memory), memory)
    });
    thread.join().expect("no panic")
}

/// How often the address that is there most often is there: once for each return into [`take`].
fn recursion(stack: &Stack) -> usize {
    let count = |address| {
        stack
            .frames
            .iter()
            .filter(|frame| frame.address == address)
            .count()
    };
    stack
        .frames
        .iter()
        .map(|frame| count(frame.address))
        .max()
        .unwrap_or(0)
}

#[test]
fn a_thread_of_this_process_is_unwound_to_its_start() {
    let pid = std::process::id();
    let mut unwinder = Unwinder::default();
    let (registers, memory) = taken(20);
    let id = unwinder.unwind(image(pid), registers, &memory, None);
    let stack = unwinder.stack(id);
    assert_eq!(stack.end, StackEnd::Outermost, "{stack:?}");
    assert_eq!(recursion(stack), 20, "{stack:?}");
    let own = unwinder.module(stack.frames[0].module);
    assert_eq!(
        (own.kind, own.seen.map(|seen| seen.pid)),
        (ModuleKind::Elf, Some(pid))
    );
    assert_eq!(
        Some(own.path.clone()),
        std::env::current_exe().ok().map(|exe| exe.display().to_string())
    );
    // A thread starts in libc.
    let outermost = unwinder.module(stack.frames[stack.frames.len() - 1].module);
    assert!(outermost.path.contains("libc"), "{outermost:?}");
    assert!(outermost.build_id.as_ref().is_some_and(|id| id.len() == 20));

    // The same again is the same stack; with a part of the copy it ends early.
    assert_eq!(unwinder.unwind(image(pid), registers, &memory, None), id);
    let part = unwinder.unwind(image(pid), registers, &memory[..1024], None);
    assert_eq!(unwinder.stack(part).end, StackEnd::CopyEnded);
    assert!(
        unwinder
            .stack(id)
            .frames
            .starts_with(&unwinder.stack(part).frames)
    );
    let usage = unwinder.usage();
    assert_eq!(
        (usage.ends.outermost, usage.ends.copy_ended, usage.stacks),
        (2, 1, 2)
    );
    assert!(usage.modules_loaded == 2 && usage.bytes > 100_000, "{usage:?}");
}

#[test]
fn endless_recursion_ends() {
    let mut unwinder = Unwinder::default();
    let (registers, memory) = taken(300);
    let id = unwinder.unwind(image(std::process::id()), registers, &memory, None);
    let stack = unwinder.stack(id);
    let is_cut = matches!(
        (stack.end, stack.frames.len()),
        (StackEnd::TooDeep, MAX_FRAMES) | (StackEnd::CopyEnded, _)
    );
    assert!(is_cut && recursion(stack) > 100, "{stack:?}");
}

#[test]
fn what_nobody_needs_is_forgotten() {
    let pid = std::process::id();
    let mut unwinder = Unwinder::default();
    let (registers, memory) = taken(0);
    let id = unwinder.unwind(image(pid), registers, &memory, None);
    // The process has ended, its stack is still told of.
    unwinder.retain(&|_| false, &HashSet::from([id]));
    let module = unwinder.module(unwinder.stack(id).frames[0].module);
    assert_eq!(module.seen, None);
    assert_eq!(unwinder.usage().address_spaces, 0);
    unwinder.retain(&|_| false, &HashSet::new());
    let usage = unwinder.usage();
    assert_eq!((usage.modules, usage.modules_loaded, usage.stacks), (0, 0, 0));
    assert!(unwinder.stack(id).frames.is_empty());
}

#[test]
fn a_process_that_is_gone_has_no_stack() {
    let mut unwinder = Unwinder::default();
    let registers = Registers {
        pc: 1,
        sp: 2,
        fp: 3,
        lr: 4,
    };
    // Above the largest PID.
    assert_eq!(
        unwinder.unwind(image(1 << 23), registers, &[0; 64], None),
        StackId::NONE
    );
    assert_eq!(unwinder.usage().gone, 1);
}

/// An empty page of code that was not there before.
fn new_code() -> u64 {
    // SAFETY: a new mapping overlaps none.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED);
    page as u64
}

#[test]
fn code_made_after_the_first_look_is_found() {
    let mut unwinder = Unwinder::default();
    let (registers, memory) = taken(0);
    let _reads_the_mappings = unwinder.unwind(image(std::process::id()), registers, &memory, None);
    let code = new_code();
    let sp = 0x7000_0000_0000;
    // Nothing that could be a return address; then two frames, each with the caller's frame pointer and the return address.
    let words = [0, 0, sp + 32, code + 32, 0, 0];
    let memory: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    let registers = Registers {
        pc: code + 16,
        sp,
        fp: sp + 16,
        lr: 0,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let stack = loop {
        let id = unwinder.unwind(image(std::process::id()), registers, &memory, None);
        if id != StackId::NONE {
            break unwinder.stack(id);
        }
        assert!(Instant::now() < deadline, "the mappings are not read again");
        sleep(Duration::from_millis(1));
    };
    let addresses: Vec<u64> = stack.frames.iter().map(|frame| frame.address).collect();
    assert_eq!(addresses, [code + 16, code + 31]);
    let module = unwinder.module(stack.frames[0].module);
    assert_eq!(module.kind, ModuleKind::Anonymous);
}

/// Words that mean something, so that a walk goes on: code of this program and of libc, places on the stack.
fn word(code: u64, libc: u64, stack: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (0..0x10_0000_u64).prop_map(move |offset| code + offset),
        3 => (0..0x1000_u64).prop_map(move |offset| libc + offset),
        3 => (0..1024_u64).prop_map(move |offset| stack + offset),
        1 => (0..64_u64).prop_map(|offset| u64::MAX - offset),
        1 => any::<u64>(),
    ]
}

#[test]
fn any_registers_and_memory_are_survived() {
    let pid = std::process::id();
    let code = a_process_that_is_gone_has_no_stack as *const () as u64;
    let libc = libc::read as *const () as u64;
    let unwinder = RefCell::new(Unwinder::default());
    let callers = Cell::new(0);
    let stack = 0x7000_0000_0000;
    let words = prop::collection::vec(word(code, libc, stack), 64);
    let registers = (
        word(code, libc, stack),
        prop_oneof![4 => Just(stack), 1 => word(code, libc, stack)],
        word(code, libc, stack),
    );
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    });
    let tried = runner.run(&(words, registers), |(words, (pc, sp, fp))| {
        let memory: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut unwinder = unwinder.borrow_mut();
        let id = unwinder.unwind(image(pid), Registers { pc, sp, fp, lr: pc }, &memory, None);
        let frames = unwinder.stack(id).frames.len();
        prop_assert!(frames <= MAX_FRAMES);
        callers.set(callers.get() + frames.saturating_sub(1));
        Ok(())
    });
    tried.expect("no panic");
    assert!(callers.get() > 100, "walks go on: {}", callers.get());
}
