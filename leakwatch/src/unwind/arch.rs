//! What differs between processors.

use framehop::UnwindRegsNative;

use super::{Registers, jit::Caller};

#[cfg(target_arch = "x86_64")]
mod native {
    use super::{Caller, Registers, UnwindRegsNative};

    pub(in crate::unwind) fn state(registers: &Registers) -> UnwindRegsNative {
        UnwindRegsNative::new(registers.pc, registers.sp, registers.fp)
    }

    pub(in crate::unwind) fn frame_pointer(state: &UnwindRegsNative) -> u64 {
        state.bp()
    }

    pub(in crate::unwind) fn stack_pointer(state: &UnwindRegsNative) -> u64 {
        state.sp()
    }

    pub(in crate::unwind) fn with_frame_pointer(mut state: UnwindRegsNative, fp: u64) -> UnwindRegsNative {
        state.set_bp(fp);
        state
    }

    /// The registers that a caller has again.
    pub(in crate::unwind) fn returned(mut state: UnwindRegsNative, caller: Caller) -> UnwindRegsNative {
        state.set_ip(caller.pc);
        state.set_sp(caller.sp);
        state.set_bp(caller.fp);
        state
    }

    /// Returns from a function that has pushed nothing.
    pub(in crate::unwind) fn leaf(
        state: &mut UnwindRegsNative,
        read: impl FnOnce(u64) -> Option<u64>,
    ) -> Option<u64> {
        let return_address = read(state.sp())?;
        state.set_sp(state.sp().checked_add(8)?);
        state.set_ip(return_address);
        Some(return_address)
    }
}

#[cfg(target_arch = "aarch64")]
mod native {
    use framehop::aarch64::PtrAuthMask;

    use super::{Caller, Registers, UnwindRegsNative};

    /// Bits of a return address without the signature that pointer authentication adds: user space has 48 bits unless a
    /// program asks for more.
    const ADDRESS_BITS: PtrAuthMask = PtrAuthMask((1 << 48) - 1);

    pub(in crate::unwind) fn state(registers: &Registers) -> UnwindRegsNative {
        UnwindRegsNative::new_with_ptr_auth_mask(ADDRESS_BITS, registers.lr, registers.sp, registers.fp)
    }

    pub(in crate::unwind) fn frame_pointer(state: &UnwindRegsNative) -> u64 {
        state.fp()
    }

    pub(in crate::unwind) fn stack_pointer(state: &UnwindRegsNative) -> u64 {
        state.sp()
    }

    pub(in crate::unwind) fn with_frame_pointer(mut state: UnwindRegsNative, fp: u64) -> UnwindRegsNative {
        state.set_fp(fp);
        state
    }

    /// The registers that a caller has again.
    pub(in crate::unwind) fn returned(mut state: UnwindRegsNative, caller: Caller) -> UnwindRegsNative {
        state.set_lr(caller.pc);
        state.set_sp(caller.sp);
        state.set_fp(caller.fp);
        state
    }

    /// Returns from a function that has stored nothing.
    pub(in crate::unwind) fn leaf(
        state: &mut UnwindRegsNative,
        _read: impl FnOnce(u64) -> Option<u64>,
    ) -> Option<u64> {
        Some(state.lr())
    }
}

pub(super) use native::{frame_pointer, leaf, returned, stack_pointer, state, with_frame_pointer};
