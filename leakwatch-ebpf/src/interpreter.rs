//! Frames of the functions that an interpreter runs, taken while the thread that runs them is in the kernel: nothing moves
//! meanwhile. Which interpreter it is, is not known here; [`Interpreter`] says where its frames are.

use core::hint::black_box;

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_probe_read_kernel as copy_words};
use leakwatch_common::{
    interpreter::{FrameWords, ImageKey, Interpreter, MAX_FRAMES, MAX_SEARCHED, Search},
    settings::ABSENT,
    stack::{FrameWalk, MAX_FRAME_BYTES, MAX_STACK_BYTES, StackBuffer},
};

use crate::{kernel::task::Task, maps::INTERPRETERS};

/// A member of what is in the map; copied when it is needed, because a program has 512 bytes of stack.
macro_rules! member {
    ($interpreter:ident.$member:ident) => {{
        // SAFETY: a map value stays readable while the program runs; the agent may at worst replace it meanwhile.
        unsafe { (&raw const (*$interpreter).$member).read_volatile() }
    }};
}

/// Puts the frames of the running thread behind the stack, and says in `taken.frames` how many; of a process that is no
/// interpreter's, none.
#[inline(always)]
pub(crate) fn take_frames(buffer: &mut StackBuffer, task: Task) {
    let key = ImageKey {
        tgid: buffer.taken.tgid,
        exec_id: buffer.taken.exec_id,
    };
    let Some(interpreter) = INTERPRETERS.get_ptr(key) else {
        return;
    };
    let Some(walk) = begin(interpreter, task) else {
        return;
    };
    let at = &raw mut buffer.walk;
    // SAFETY: `at` is in `buffer`. Volatile here and below, so that the compiler keeps nothing of it in registers.
    unsafe { at.write_volatile(walk) };
    copy(interpreter, buffer);
}

/// Copies words of the frames, the innermost first.
#[inline(always)]
fn copy(interpreter: *const Interpreter, buffer: &mut StackBuffer) {
    let taken = &raw mut buffer.taken.frames;
    let walk = &raw mut buffer.walk;
    for _ in 0..MAX_FRAMES {
        // SAFETY: both are in `buffer`.
        let (
            taken_before,
            FrameWalk {
                frame,
                start,
                span,
                position,
            },
        ) = unsafe { (taken.read_volatile(), walk.read_volatile()) };
        if frame == 0 || frame.wrapping_sub(start) > span {
            break;
        }
        // The compiler knows the range and drops the mask that the verifier needs.
        let at = black_box(buffer.taken.len + taken_before * size_of::<FrameWords>() as u32)
            & (2 * MAX_STACK_BYTES - 1);
        if at > MAX_STACK_BYTES + MAX_FRAME_BYTES - size_of::<FrameWords>() as u32 {
            break;
        }
        let Some(is_taken) = is_of_function(interpreter, frame) else {
            break;
        };
        if is_taken {
            let Some(mut words) = words(interpreter, frame) else {
                break;
            };
            if member!(interpreter.position_ahead) != ABSENT {
                // SAFETY: in `buffer`.
                unsafe { (&raw mut (*walk).position).write_volatile(words.position) };
                words.position = position;
            }
            // SAFETY: `at` and the words behind it are within `bytes`, which is longer than a stack by a page. A copy by the
            // helper, because the place need not be aligned.
            unsafe {
                copy_words(
                    buffer.bytes.as_mut_ptr().add(at as usize).cast(),
                    size_of::<FrameWords>() as u32,
                    (&raw const words).cast(),
                );
                taken.write_volatile(taken_before + 1);
            };
        }
        let previous = member!(interpreter.frame_previous);
        let caller = if previous == ABSENT {
            let stride = i64::from(member!(interpreter.frame_stride));
            frame.wrapping_add(stride.cast_unsigned())
        } else {
            read(frame, previous).unwrap_or(0)
        };
        // SAFETY: in `buffer`.
        unsafe { (&raw mut (*walk).frame).write_volatile(caller) };
    }
}

/// Both words of a frame. One that leads nowhere is 0.
#[inline(always)]
fn words(interpreter: *const Interpreter, frame: u64) -> Option<FrameWords> {
    let code = read(frame, member!(interpreter.frame_code))?;
    let position = read(frame, member!(interpreter.frame_position))?;
    let behind = member!(interpreter.code_behind);
    Some(FrameWords {
        code: if behind == ABSENT {
            code
        } else {
            read(code, behind).unwrap_or(0)
        },
        position,
    })
}

/// Whether a frame is one of those that are taken.
#[inline(always)]
fn is_of_function(interpreter: *const Interpreter, frame: u64) -> Option<bool> {
    let mask = member!(interpreter.kind_mask);
    if mask == 0 {
        return Some(true);
    }
    let kind = read(frame, member!(interpreter.frame_kind))?;
    Some(kind & u64::from(mask & 0xff) == u64::from(member!(interpreter.kind_value)))
}

/// Finds the frames of the running thread.
#[inline(always)]
fn begin(interpreter: *const Interpreter, task: Task) -> Option<FrameWalk> {
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
    let ahead = member!(interpreter.position_ahead);
    let position = if ahead == ABSENT { 0 } else { read(state, ahead)? };
    let (start, span) = extent(interpreter, state)?;
    let at = member!(interpreter.frame);
    let frame = if at == ABSENT {
        start.wrapping_add(span)
    } else {
        read(state, at)?
    };
    let behind = member!(interpreter.frame_behind);
    Some(FrameWalk {
        frame: if behind == ABSENT {
            frame
        } else {
            read(frame, behind)?
        },
        start,
        span,
        position,
    })
}

/// Where frames may be: [`FrameWalk::start`] and [`FrameWalk::span`].
#[inline(always)]
fn extent(interpreter: *const Interpreter, state: u64) -> Option<(u64, u64)> {
    let start = member!(interpreter.stack_start);
    if start == ABSENT {
        return Some((0, u64::MAX));
    }
    let stack = member!(interpreter.stack);
    let stack = if stack == ABSENT {
        state
    } else {
        read(state, stack)?
    };
    let start = read(stack, start)?;
    let elements = read(stack, member!(interpreter.stack_elements))? as u32;
    if elements > i32::MAX as u32 {
        return None;
    }
    let bytes = u64::from(elements) * u64::from(member!(interpreter.stack_element));
    let unused = u64::from(member!(interpreter.stack_unused));
    (bytes >= unused).then(|| (start, bytes - unused))
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
