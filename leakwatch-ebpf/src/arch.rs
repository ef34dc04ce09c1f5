//! Where each architecture keeps a system call's number and arguments at `sys_exit`, and how it marks a 32-bit call.

use core::mem::offset_of;

use crate::kernel::Object;

/// `struct pt_regs` of the running architecture. Its layout is part of the kernel's user ABI (core dumps, ptrace), so
/// unlike everything else it is not looked up in BTF.
#[cfg(bpf_target_arch = "x86_64")]
#[repr(C)]
pub(crate) struct Registers {
    callee_saved: [u64; 6],
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rax: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    orig_rax: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
    ss: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
impl Registers {
    /// System call number. A 32-bit entry keeps its own numbering here.
    #[inline(always)]
    pub(crate) fn syscall(&self) -> u64 {
        self.orig_rax
    }

    /// Arguments 0 to 3. The kernel restores them before `sys_exit`; only `rax`, `rcx` and `r11` are lost.
    #[inline(always)]
    pub(crate) fn args(&self) -> [u64; 4] {
        [self.rdi, self.rsi, self.rdx, self.r10]
    }

    /// Stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.rsp
    }

    /// Program counter.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.rip
    }
}

/// `TS_COMPAT`, arch/x86/include/asm/thread_info.h: set while in a system call by `int 0x80` or a 32-bit `sysenter`,
/// whatever the code segment is.
#[cfg(bpf_target_arch = "x86_64")]
pub(crate) const COMPAT_BIT: u64 = 0x0002;

/// `struct pt_regs` of the running architecture, as far as it is read.
#[cfg(bpf_target_arch = "aarch64")]
#[repr(C)]
pub(crate) struct Registers {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    orig_x0: u64,
    syscallno: i32,
}

#[cfg(bpf_target_arch = "aarch64")]
impl Registers {
    /// System call number; -1 for none.
    #[inline(always)]
    pub(crate) fn syscall(&self) -> u64 {
        self.syscallno as u32 as u64
    }

    /// Arguments 0 to 3. The result overwrites `x0`, so argument 0 is read from `orig_x0`.
    #[inline(always)]
    pub(crate) fn args(&self) -> [u64; 4] {
        [self.orig_x0, self.x[1], self.x[2], self.x[3]]
    }

    /// Stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.sp
    }

    /// Program counter.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.pc
    }
}

/// `TIF_32BIT`, arch/arm64/include/asm/thread_info.h.
#[cfg(bpf_target_arch = "aarch64")]
pub(crate) const COMPAT_BIT: u64 = 1 << 22;

/// What a return takes off the stack: the stack pointer after a call is at least this far above the one inside it.
#[cfg(bpf_target_arch = "x86_64")]
pub(crate) const RETURN_ADDRESS_BYTES: u64 = 8;
#[cfg(bpf_target_arch = "aarch64")]
pub(crate) const RETURN_ADDRESS_BYTES: u64 = 0;

/// The user stack pointer where a uprobe was hit.
#[inline(always)]
pub(crate) fn stack_pointer(registers: *const aya_ebpf::bindings::pt_regs) -> u64 {
    // SAFETY: the context of a uprobe's program is the thread's registers.
    unsafe { (*registers.cast::<Registers>()).sp() }
}

/// The instruction that a uprobe was hit at.
#[inline(always)]
pub(crate) fn program_counter(registers: *const aya_ebpf::bindings::pt_regs) -> u64 {
    // SAFETY: as above.
    unsafe { (*registers.cast::<Registers>()).pc() }
}

/// Where a thread was in user mode: what an unwinder starts from.
#[derive(Clone, Copy)]
pub(crate) struct UserRegisters {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    pub(crate) lr: u64,
}

/// Size of a kernel stack (`THREAD_SIZE`; KASAN doubles it, and then the check of the code segment fails) less the registers.
pub(crate) const PT_REGS_BELOW_STACK_TOP: u64 = (16 << 10) - size_of::<Registers>() as u64;

#[cfg(bpf_target_arch = "x86_64")]
impl UserRegisters {
    /// From the `struct pt_regs` at this address; `None` unless it is of 64-bit user code.
    #[inline(always)]
    pub(crate) fn read(registers: u64) -> Option<Self> {
        /// `__USER_CS`, arch/x86/include/asm/segment.h.
        const USER_CS: u64 = 0x33;
        let registers = Object::new(registers)?;
        // FRED keeps flags above the selector.
        if registers.read::<u64>(offset_of!(Registers, cs) as u32)? & 0xffff != USER_CS {
            return None;
        }
        Some(Self {
            pc: registers.read(offset_of!(Registers, rip) as u32)?,
            sp: registers.read(offset_of!(Registers, rsp) as u32)?,
            // r15, r14, r13, r12, rbp, rbx.
            fp: registers.read(offset_of!(Registers, callee_saved) as u32 + 4 * 8)?,
            lr: 0,
        })
    }
}

#[cfg(bpf_target_arch = "aarch64")]
impl UserRegisters {
    /// From the `struct pt_regs` at this address; `None` unless it is of 64-bit user code.
    #[inline(always)]
    pub(crate) fn read(registers: u64) -> Option<Self> {
        /// `PSR_MODE_MASK | PSR_MODE32_BIT`, arch/arm64/include/uapi/asm/ptrace.h: all 0 in 64-bit user mode.
        const MODE: u64 = 0x1f;
        let registers = Object::new(registers)?;
        if registers.read::<u64>(offset_of!(Registers, pstate) as u32)? & MODE != 0 {
            return None;
        }
        Some(Self {
            pc: registers.read(offset_of!(Registers, pc) as u32)?,
            sp: registers.read(offset_of!(Registers, sp) as u32)?,
            fp: registers.read(offset_of!(Registers, x) as u32 + 29 * 8)?,
            lr: registers.read(offset_of!(Registers, x) as u32 + 30 * 8)?,
        })
    }
}
