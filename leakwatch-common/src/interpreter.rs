//! How an interpreter keeps the frames of the functions that it runs, so that a probe can follow them. Offsets are data: the
//! agent knows them by the interpreter's version, the probe knows no interpreter.

use bytemuck::{Pod, Zeroable};

use crate::{discriminants, settings::ABSENT};

/// Processes whose frames are taken at a time: entries of the map `INTERPRETERS`.
pub const MAX_INTERPRETERS: u32 = 1024;
/// Frames that are taken of one thread at the most, innermost first.
pub const MAX_FRAMES: u32 = 64;
/// Thread states and groups of them that are looked at for the one of the running thread.
pub const MAX_SEARCHED: u32 = 512;

/// Key of the map `INTERPRETERS`: one program image of one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct ImageKey {
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// As in [`crate::site::SiteKey`].
    pub exec_id: u32,
}

discriminants! {
    /// Where the state of the running thread is.
    pub enum Search {
        /// The state is at [`Interpreter::root`]: there are no threads.
        Root = 0,
        /// The pointer at [`Interpreter::root`] leads to it.
        Pointer = 1,
        /// The pointer at [`Interpreter::thread_local`] bytes from the thread pointer leads to it.
        ThreadLocal = 2,
        /// Among the threads of the groups in the list that begins with the pointer at [`Interpreter::root`], it is the one
        /// with the thread pointer at [`Interpreter::thread_id`]. [`Interpreter::thread_local`] is tried first.
        Threads = 3,
    }
}

/// Where the frames of one process are. Value of the map `INTERPRETERS`. Offsets are bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Interpreter {
    /// Address that the search begins at.
    pub root: u64,
    /// Discriminant of [`Search`].
    pub search: u32,
    /// Of a pointer to the next group, in a group.
    pub group_next: u32,
    /// Of a pointer to the first thread state, in a group.
    pub group_threads: u32,
    /// Of a pointer to the next thread state, in a thread state.
    pub thread_next: u32,
    /// Of what `pthread_self` says, in a thread state.
    pub thread_id: u32,
    /// `pthread_self` says the thread pointer, or up to so much less than it.
    pub thread_id_below: u32,
    /// From the thread pointer to a pointer to the thread's state; 0 when there is none.
    pub thread_local: i32,
    /// Of a pointer to the innermost frame, in a thread state; [`ABSENT`] when that is the last one on the stack.
    pub frame: u32,
    /// Of the same, in what [`Self::frame`] leads to; [`ABSENT`] when that is the frame itself.
    pub frame_behind: u32,
    /// Of a pointer to the calling frame, in a frame; [`ABSENT`] when frames lie one behind the other.
    pub frame_previous: u32,
    /// From a frame to the calling one, where they lie one behind the other.
    pub frame_stride: i32,
    /// Of the first word to take of a frame: the code that runs.
    pub frame_code: u32,
    /// Of that word, in what [`Self::frame_code`] leads to; [`ABSENT`] when it is in the frame itself.
    pub code_behind: u32,
    /// Of the second word: where in that code.
    pub frame_position: u32,
    /// Of the second word of the innermost frame, in a thread state, where each frame has that of its caller; [`ABSENT`] where
    /// each has its own.
    pub position_ahead: u32,
    /// Of the byte that says what a frame is of. Those whose byte is not [`Self::kind_value`] under [`Self::kind_mask`] are
    /// passed over.
    pub frame_kind: u32,
    /// Bits of that byte that count; 0 when every frame is taken.
    pub kind_mask: u32,
    /// What they have to be.
    pub kind_value: u32,
    /// Of a pointer to what the next members are in, in a thread state; [`ABSENT`] when that is the state itself.
    pub stack: u32,
    /// Of a pointer to the first byte of the stack that frames lie on; [`ABSENT`] when they lie anywhere.
    pub stack_start: u32,
    /// Of how many elements the stack has up to its last frame, not that one included: 32 bits, negative when there is none.
    pub stack_elements: u32,
    /// Bytes of an element.
    pub stack_element: u32,
    /// So many bytes before the end the last frame begins: a stack may be measured in anything, and end with what is no frame.
    pub stack_unused: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

impl Default for Interpreter {
    /// No threads; linked frames that have both words themselves.
    fn default() -> Self {
        Self {
            frame_behind: ABSENT,
            code_behind: ABSENT,
            position_ahead: ABSENT,
            stack: ABSENT,
            stack_start: ABSENT,
            ..Self::zeroed()
        }
    }
}

/// What is taken of one frame: words as they lie there. They follow the stack in a record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct FrameWords {
    /// At [`Interpreter::frame_code`].
    pub code: u64,
    /// At [`Interpreter::frame_position`].
    pub position: u64,
}

const _: () = assert!(size_of::<ImageKey>() == 8);
const _: () = assert!(size_of::<Interpreter>() == 104);
const _: () = assert!(size_of::<FrameWords>() == 16);
