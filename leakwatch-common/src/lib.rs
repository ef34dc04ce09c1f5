//! The contract between the eBPF programs and the agent: every byte that crosses the kernel border has its layout here,
//! once, for both sides.
//!
//! | module | what crosses | how |
//! |---|---|---|
//! | [`record`] | things that happened | ring buffer |
//! | [`levels`] | how much each process holds now | BPF iterators, `read(2)` |
//! | [`stack`] | from which call stack, sampled | ring buffer |
//! | [`interpreter`] | how an interpreter keeps its frames | hash map |
//! | [`site`] | who took it, and how much of it is still held | memory-mapped array and hash maps |
//! | [`counter`] | what the feed lost, shed or skipped | per-CPU array |
//! | [`allocation`] | allocations of one process that is traced | hash maps |
//! | [`settings`] | what the agent tells the programs before they load | read-only globals |
//!
//! The programs' clock counts nanoseconds from an epoch of the kernel's own, in steps of one timer interrupt: two of its times
//! can be subtracted, and mean nothing beside another clock.
//!
//! Types are `repr(C)` without implicit padding: `bytemuck::Pod` refuses to derive otherwise, and each size is asserted
//! here so that a change that moves a field is seen by whoever makes it.
#![no_std]

pub mod allocation;
pub mod counter;
pub mod interpreter;
pub mod kind;
pub mod levels;
pub mod record;
pub mod settings;
pub mod site;
pub mod stack;

#[cfg(feature = "user")]
mod pod;

/// A discriminant that this version does not know: data from another version, or corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDiscriminant(
    /// The value found.
    pub u32,
);

/// Declares a `repr(u32)` enum together with its total `TryFrom<u32>` and the list of its variants.
macro_rules! discriminants {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        $vis enum $name { $($(#[$vmeta])* $variant = $value,)+ }

        impl $name {
            /// Every variant, in the order of its value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
        }

        impl TryFrom<u32> for $name {
            type Error = $crate::UnknownDiscriminant;

            fn try_from(value: u32) -> Result<Self, Self::Error> {
                match value {
                    $($value => Ok(Self::$variant),)+
                    other => Err($crate::UnknownDiscriminant(other)),
                }
            }
        }
    };
}
pub(crate) use discriminants;

/// Size of `task_struct.comm` (`TASK_COMM_LEN`), NUL included.
pub const COMM_LEN: usize = 16;
