//! Frames of the functions that an interpreter runs, taken while the thread that runs them is in the kernel: nothing moves
//! meanwhile. Which interpreter it is, is not known here; [`Interpreter`] says where its frames are.

use core::{hint::black_box, mem::offset_of};

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_user as copy_user};
use leakwatch_common::{
    interpreter::{FrameWords, ImageKey, Interpreter, MAX_FRAMES, MAX_SEARCHED, Search},
    settings::ABSENT,
    stack::{MAX_FRAME_BYTES, MAX_STACK_BYTES, StackBuffer},
};

use crate::{kernel::task::Task, maps::INTERPRETERS};

/// A member of what is in the map; copied when it is needed, because a program has 512 bytes of stack.
macro_rules! member {
    ($interpreter:ident.$member:ident) => {{
        // SAFETY: a map value stays readable while the program runs; the agent may at worst replace it meanwhile.
        unsafe { (&raw const (*$interpreter).$member).read_volatile() }
    }};
}

/// Puts the frames of the running thread behind the stack; how many there are. Of a process that is no interpreter's, none.
#[inline(always)]
pub(crate) fn take_frames(buffer: &mut StackBuffer, task: Task) -> u32 {
    let key = ImageKey {
        tgid: buffer.taken.tgid,
        exec_id: buffer.taken.exec_id,
    };
    let Some(interpreter) = INTERPRETERS.get_ptr(key) else {
        return 0;
    };
    innermost(interpreter, task).map_or(0, |frame| copy(interpreter, buffer, frame))
}

/// Copies words of this frame and of its callers.
#[inline(always)]
fn copy(interpreter: *const Interpreter, buffer: &mut StackBuffer, innermost: u64) -> u32 {
    let mut frame = innermost;
    let mut taken = 0;
    for _ in 0..MAX_FRAMES {
        if frame == 0 {
            break;
        }
        // The compiler knows the range and drops the mask that the verifier needs.
        let at =
            black_box(buffer.taken.len + taken * size_of::<FrameWords>() as u32) & (2 * MAX_STACK_BYTES - 1);
        if at > MAX_STACK_BYTES + MAX_FRAME_BYTES - size_of::<FrameWords>() as u32 {
            break;
        }
        let words = [
            (offset_of!(FrameWords, code), member!(interpreter.frame_code)),
            (
                offset_of!(FrameWords, position),
                member!(interpreter.frame_position),
            ),
        ];
        let mut result = 0;
        for (word, offset) in words {
            // SAFETY: `at` and a word behind it are within `bytes`, which is longer than a stack by a page. The helper
            // checks the user address and fails instead of faulting.
            result |= unsafe {
                copy_user(
                    buffer.bytes.as_mut_ptr().add(at as usize).add(word).cast(),
                    size_of::<u64>() as u32,
                    frame.wrapping_add(u64::from(offset)) as *const _,
                )
            };
        }
        if result != 0 {
            break;
        }
        taken += 1;
        let previous = member!(interpreter.frame_previous);
        frame = if previous == ABSENT {
            let stride = i64::from(member!(interpreter.frame_stride));
            frame.wrapping_add(stride.cast_unsigned())
        } else {
            read(frame, previous).unwrap_or(0)
        };
    }
    taken
}

/// Address of the innermost frame of the running thread.
#[inline(always)]
fn innermost(interpreter: *const Interpreter, task: Task) -> Option<u64> {
    let root = member!(interpreter.root);
    let search = member!(interpreter.search);
    let state = if search == Search::Root as u32 {
        root
    } else if search == Search::Pointer as u32 {
        read(root, 0)?
    } else if search == Search::ThreadLocal as u32 {
        thread_local(interpreter, task.thread_pointer()?)?
    } else {
        state(interpreter, task.thread_pointer()?)?
    };
    let frame = read(state, member!(interpreter.frame))?;
    let behind = member!(interpreter.frame_behind);
    if behind == ABSENT {
        Some(frame)
    } else {
        read(frame, behind)
    }
}

#[inline(always)]
fn thread_local(interpreter: *const Interpreter, thread_pointer: u64) -> Option<u64> {
    let offset = i64::from(member!(interpreter.thread_local));
    read(thread_pointer.wrapping_add(offset.cast_unsigned()), 0)
}

/// Finds the running thread's state among those of all threads.
#[inline(always)]
fn state(interpreter: *const Interpreter, thread_pointer: u64) -> Option<u64> {
    if member!(interpreter.thread_local) != 0
        && let Some(state) = thread_local(interpreter, thread_pointer)
        && is_of_thread(interpreter, state, thread_pointer)
    {
        return Some(state);
    }
    let mut next_group = read(member!(interpreter.root), 0)?;
    let mut state = 0;
    for _ in 0..MAX_SEARCHED {
        if state == 0 {
            if next_group == 0 {
                return None;
            }
            state = read(next_group, member!(interpreter.group_threads))?;
            next_group = read(next_group, member!(interpreter.group_next))?;
            continue;
        }
        if is_of_thread(interpreter, state, thread_pointer) {
            return Some(state);
        }
        state = read(state, member!(interpreter.thread_next))?;
    }
    None
}

#[inline(always)]
fn is_of_thread(interpreter: *const Interpreter, state: u64, thread_pointer: u64) -> bool {
    let id = read(state, member!(interpreter.thread_id)).unwrap_or(0);
    thread_pointer.wrapping_sub(id) <= u64::from(member!(interpreter.thread_id_below))
}

/// The word at `offset` of something in user memory; `None` when it is not there, or when there is no something.
#[inline(always)]
fn read(address: u64, offset: u32) -> Option<u64> {
    if address == 0 {
        return None;
    }
    let address = address.wrapping_add(u64::from(offset)) as *const u64;
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_user(address) }.ok()
}
