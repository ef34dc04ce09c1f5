//! Where each architecture keeps a system call's number and arguments at `sys_exit`, and how it marks a 32-bit call.

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
}

/// `TIF_32BIT`, arch/arm64/include/asm/thread_info.h.
#[cfg(bpf_target_arch = "aarch64")]
pub(crate) const COMPAT_BIT: u64 = 1 << 22;
