//! Copies of user stacks: which call took something.
//!
//! Not every birth gets one. Births are told apart into classes cheaply (process, kind, depth of the stack), and each class has
//! its turns: see `leakwatch-ebpf/src/stack.rs`.

use bytemuck::{Pod, Zeroable};

use crate::interpreter::{FrameWords, MAX_FRAMES};

/// Most bytes of a stack that are copied; a deeper stack is cut.
pub const MAX_STACK_BYTES: u32 = 32 * 1024;

/// [`StackTaken::sample`] of births whose stack was not taken.
pub const NO_SAMPLE: u32 = 0;

/// Classes of births that a CPU tells apart: entries of 24 bytes in the map `CLASSES`.
pub const CLASSES: u32 = 4096;

/// Words of the map `SUSPECTS`, a set of processes by the low bits of their tgid.
pub const SUSPECT_WORDS: u32 = 1024;

/// One record of the ring buffer `STACK_FEED`; `len` bytes of stack follow it, from `sp` up, and then `frames` times the
/// [`FrameWords`] of an interpreter, innermost first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct StackTaken {
    /// As in [`crate::site::SiteKey`].
    pub start_boottime_ns: u64,
    /// When, nanoseconds of the programs' clock.
    pub time_ns: u64,
    /// What was taken: number of the descriptor (of the first of a pair), thread id, or address; of an allocation its bytes.
    pub item: u64,
    /// Program counter in user mode.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer register, whatever it is used for.
    pub fp: u64,
    /// Link register; 0 on x86-64, which has none.
    pub lr: u64,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// As in [`crate::site::SiteKey`].
    pub exec_id: u32,
    /// Thread id in the initial PID namespace.
    pub tid: u32,
    /// Number of this sample; the live thing carries it, and its death reports it. Never [`NO_SAMPLE`].
    pub sample: u32,
    /// Discriminant of [`crate::kind::Kind`].
    pub kind: u32,
    /// Births of this class on this CPU since its last sample, this one included: so many does it stand for.
    pub weight: u32,
    /// Bytes of stack.
    pub len: u32,
    /// Frames of an interpreter, at most [`MAX_FRAMES`].
    pub frames: u32,
}

/// Most bytes of frames of an interpreter.
pub const MAX_FRAME_BYTES: u32 = MAX_FRAMES * 16;

/// One class of births on one CPU. Value of the map `CLASSES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Class {
    /// Which class has this entry at the moment: two may share it, then each takes it over from the other.
    pub tag: u64,
    /// When the last sample was taken, nanoseconds of the programs' clock.
    pub sampled_ns: u64,
    /// Births since.
    pub births: u32,
    /// The next sample is the birth with this number.
    pub turn: u32,
}

/// A walk over an interpreter's frames, from the innermost on. In a map, because the verifier forgets what is stored there: of
/// registers it would verify each way to find the frames with each number of them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FrameWalk {
    /// The frame that is next.
    pub frame: u64,
    /// Of what frames lie on.
    pub start: u64,
    /// From there to the frame that is farthest.
    pub span: u64,
    /// Where the next frame's function is, for interpreters that keep it apart.
    pub position: u64,
}

/// What one CPU copies a stack into before it goes to the ring buffer. Value of the map `STACK_BUFFERS`, indexed by CPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackBuffer {
    /// Not 0 while a program fills this buffer; another that interrupts it does without.
    pub busy: u32,
    /// Samples of this CPU.
    pub samples: u32,
    /// Where the walk over an interpreter's frames is.
    pub walk: FrameWalk,
    /// The record, which the bytes follow.
    pub taken: StackTaken,
    /// The stack and the frames; one page more than a stack may have, so that the verifier can see that no copy ends
    /// outside.
    pub bytes: [u8; MAX_STACK_BYTES as usize + 4096],
}

const _: () = assert!(size_of::<StackTaken>() == 88);
const _: () = assert!(MAX_FRAME_BYTES as usize == MAX_FRAMES as usize * size_of::<FrameWords>());
const _: () = assert!(MAX_FRAME_BYTES < 4096);
const _: () = assert!(size_of::<Class>() == 24);
const _: () = assert!(size_of::<FrameWalk>() == 32);
const _: () = assert!(size_of::<StackBuffer>() == 8 + 32 + 88 + 36_864);
