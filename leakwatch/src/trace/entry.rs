//! Where to put a probe into a function, so that being hit is cheap.
//!
//! A uprobe replaces an instruction by a breakpoint. Some instructions the kernel can emulate; any other one it executes
//! elsewhere in single-step mode, which takes a second trap, and a dear one in a virtual machine: 20 times the time was
//! measured. So the probe goes to the first instruction that is emulated, that every call reaches, and that finds the arguments
//! where they are wanted. A return probe replaces the return address, so it needs the stack pointer as the caller left it.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};

/// How many bytes of a function are looked at.
pub const CODE_BYTES: usize = 128;

/// What a function does, and so where its arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `malloc(size)`
    Allocate,
    /// `aligned_alloc(alignment, size)`
    AllocateAligned,
    /// `posix_memalign(result, alignment, size)`
    AllocateInto,
    /// `calloc(count, size)`
    AllocateArray,
    /// `realloc(address, size)`
    Reallocate,
    /// `free(address)`
    Deallocate,
}

impl Role {
    /// Which arguments a probe reads.
    fn arguments(self) -> &'static [usize] {
        match self {
            Self::Allocate | Self::Deallocate => &[0],
            Self::AllocateAligned => &[1],
            Self::AllocateInto => &[0, 2],
            Self::AllocateArray | Self::Reallocate => &[0, 1],
        }
    }

    /// Whether what it returns is of interest.
    pub fn returns(self) -> bool {
        self != Self::Deallocate
    }
}

/// One place in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Bytes from the function's first one.
    pub offset: u64,
    /// Whether the kernel emulates the instruction there.
    pub emulated: bool,
}

/// Where a function is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where its arguments are read.
    pub entry: Site,
    /// As which function they are read: they may have been moved.
    pub read_as: Role,
    /// Where its return is prepared, if that is of interest.
    pub ret: Option<Site>,
}

/// Arguments that are looked for, in the order of the calling convention.
const ARGUMENTS: [Register; 3] = [Register::RDI, Register::RSI, Register::RDX];

/// An instruction that is emulated and that every call reaches.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    offset: u64,
    /// Which argument each of [`ARGUMENTS`] holds there.
    holds: [Option<usize>; ARGUMENTS.len()],
    /// Whether the stack pointer is still as it was.
    at_return_address: bool,
}

impl Candidate {
    fn reads(&self, role: Role) -> Option<Role> {
        let intact = |&argument: &usize| self.holds[argument] == Some(argument);
        if role.arguments().iter().all(intact) {
            return Some(role);
        }
        // A single size that was moved to where others have theirs.
        (role == Role::Allocate && self.holds[1] == Some(0)).then_some(Role::AllocateAligned)
    }
}

/// Chooses where to probe a function of this role that begins with `code`.
pub fn place(code: &[u8], role: Role) -> Placement {
    let candidates = candidates(code);
    let emulated = |candidate: &Candidate| Site {
        offset: candidate.offset,
        emulated: true,
    };
    let first = Site {
        offset: 0,
        emulated: false,
    };
    let reads = |candidate: &Candidate| candidate.reads(role).map(|role| (emulated(candidate), role));
    if !role.returns() {
        let (entry, read_as) = candidates.iter().find_map(reads).unwrap_or((first, role));
        return Placement {
            entry,
            read_as,
            ret: None,
        };
    }
    // One breakpoint for both is hit once.
    let both = candidates
        .iter()
        .filter(|candidate| candidate.at_return_address)
        .find_map(reads);
    let (entry, read_as) = both
        .or_else(|| candidates.iter().find_map(reads))
        .unwrap_or((first, role));
    let ret = candidates.iter().find(|candidate| candidate.at_return_address);
    let ret = match (both, ret) {
        (Some((site, _)), _) => site,
        (None, Some(candidate)) if entry.emulated => emulated(candidate),
        _ => first,
    };
    Placement {
        entry,
        read_as,
        ret: Some(ret),
    }
}

/// Follows the function from its first instruction to its first branch.
fn candidates(code: &[u8]) -> Vec<Candidate> {
    let mut found = Vec::new();
    if !cfg!(target_arch = "x86_64") {
        return found;
    }
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut information = InstructionInfoFactory::new();
    let mut instruction = Instruction::default();
    let mut holds = [Some(0), Some(1), Some(2)];
    let mut at_return_address = true;
    while decoder.can_decode() {
        let start = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            break;
        }
        let bytes = &code[start..decoder.position()];
        if is_emulated(bytes) {
            found.push(Candidate {
                offset: start as u64,
                holds,
                at_return_address,
            });
        }
        if instruction.flow_control() != FlowControl::Next {
            break;
        }
        let moved = moved(&instruction).and_then(|(from, to)| Some((holds[argument(from)?], argument(to)?)));
        for used in information.info(&instruction).used_registers() {
            let writes = matches!(
                used.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            let register = used.register().full_register();
            if writes && register == Register::RSP {
                at_return_address = false;
            }
            if writes && let Some(argument) = argument(register) {
                holds[argument] = None;
            }
        }
        if let Some((what, to)) = moved {
            holds[to] = what;
        }
    }
    found
}

/// Whether a function calls, or ends in a jump to, one of these; all are offsets in the same file.
pub fn calls(code: &[u8], offset: u64, targets: &[u64]) -> bool {
    cfg!(target_arch = "x86_64")
        && Decoder::with_ip(64, code, offset, DecoderOptions::NONE)
            .iter()
            .any(|instruction| targets.contains(&instruction.near_branch_target()))
}

fn argument(register: Register) -> Option<usize> {
    ARGUMENTS.iter().position(|&argument| argument == register)
}

/// A copy of a whole register to another one.
fn moved(instruction: &Instruction) -> Option<(Register, Register)> {
    matches!(instruction.code(), Code::Mov_rm64_r64 | Code::Mov_r64_rm64)
        .then(|| (instruction.op1_register(), instruction.op0_register()))
}

/// What `branch_setup_insn` and `push_setup_insn` in arch/x86/kernel/uprobes.c take on, in every supported kernel. Longer no-ops
/// than the one-byte one are not among it: before 6.18 they are stepped, and from then on those of five bytes become calls,
/// which write below the stack pointer.
fn is_emulated(bytes: &[u8]) -> bool {
    match bytes {
        [0x50..=0x57] | [0x41, 0x50..=0x57] => return true,
        _ => {}
    }
    let is_prefix = |byte: &u8| {
        matches!(
            byte,
            0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 | 0xf2 | 0xf3 | 0x66 | 0x40..=0x4f
        )
    };
    let prefixes = bytes.iter().take_while(|byte| is_prefix(byte)).count();
    let (prefixes, instruction) = bytes.split_at(prefixes);
    match instruction {
        // `f3 90` is `pause`, which is a no-op as well; `41 90` exchanges registers.
        [0x90] => !prefixes.iter().any(|byte| matches!(byte, 0x40..=0x4f)),
        [0xeb | 0xe9 | 0xe8 | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => !prefixes.contains(&0x66),
        _ => false,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn placed(code: &[u8], role: Role) -> (u64, bool, Option<(u64, bool)>) {
        let placement = place(code, role);
        assert_eq!(placement.read_as, role);
        let ret = placement.ret.map(|site| (site.offset, site.emulated));
        (placement.entry.offset, placement.entry.emulated, ret)
    }

    /// glibc 2.36, Debian 12.
    const GLIBC_MALLOC: &[u8] = &[0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb, 0x48, 0x83, 0xec, 0x10];
    const GLIBC_FREE: &[u8] = &[
        0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0, 0x55, 0x48, 0x8d, 0x77, 0xf0,
    ];
    /// `cmp byte [rip+..], 0; push r12; mov r12, rdx; push rbp`
    const GLIBC_POSIX_MEMALIGN: &[u8] = &[
        0x80, 0x3d, 0x01, 0x02, 0x14, 0, 0, 0x41, 0x54, 0x49, 0x89, 0xd4, 0x55,
    ];
    /// jemalloc 5.3.0: `cmp rdi, 4096; ja`
    const JEMALLOC_MALLOC: &[u8] = &[
        0x48, 0x81, 0xff, 0, 0x10, 0, 0, 0x0f, 0x87, 0x93, 0, 0, 0, 0x48, 0x8d, 0x15, 0x5c, 0x7f, 0x2c, 0,
    ];
    /// gperftools 2.10: `mov rax, [rip+..]; test rax, rax; jne; ..`
    const TCMALLOC_MALLOC: &[u8] = &[
        0x48, 0x8b, 0x05, 0x59, 0xab, 0, 0, 0x48, 0x85, 0xc0, 0x75, 0x75, 0x48, 0x8b,
    ];
    /// mimalloc 2.0: `mov rax, [rip+..]; mov rsi, rdi; mov rdi, fs:[rax]; cmp rsi, 1024; ja`
    const MIMALLOC_MALLOC: &[u8] = &[
        0x48, 0x8b, 0x05, 0x49, 0xb4, 0, 0, 0x48, 0x89, 0xfe, 0x64, 0x48, 0x8b, 0x38, 0x48, 0x81, 0xfe, 0,
        0x04, 0, 0, 0x77, 0x29,
    ];

    #[test]
    fn a_push_is_as_good_as_it_gets() {
        assert_eq!(placed(GLIBC_MALLOC, Role::Allocate), (0, true, Some((0, true))));
    }

    #[test]
    fn a_test_is_passed_over_for_the_branch_after_it() {
        assert_eq!(placed(GLIBC_FREE, Role::Deallocate), (3, true, None));
        assert_eq!(
            placed(JEMALLOC_MALLOC, Role::Allocate),
            (7, true, Some((7, true)))
        );
        assert_eq!(
            placed(TCMALLOC_MALLOC, Role::Allocate),
            (10, true, Some((10, true)))
        );
        assert_eq!(
            placed(GLIBC_POSIX_MEMALIGN, Role::AllocateInto),
            (7, true, Some((7, true)))
        );
    }

    #[test]
    fn an_argument_that_was_moved_is_read_where_it_is() {
        let placement = place(MIMALLOC_MALLOC, Role::Allocate);
        assert_eq!(placement.read_as, Role::AllocateAligned);
        assert_eq!((placement.entry.offset, placement.entry.emulated), (21, true));
        assert_eq!(placement.ret, Some(placement.entry));
        // `free` has no other place to read from.
        assert!(!place(MIMALLOC_MALLOC, Role::Deallocate).entry.emulated);
    }

    #[test]
    fn endbr_is_passed_over() {
        let code = [&[0xf3, 0x0f, 0x1e, 0xfa], GLIBC_MALLOC].concat();
        assert_eq!(placed(&code, Role::Allocate), (4, true, Some((4, true))));
    }

    #[test]
    fn nothing_is_chosen_beyond_a_branch_or_after_the_arguments_are_gone() {
        // `jmp rax; push rbp`, `xor edi, edi; push rbp`, `ret; push rbp`
        for code in [&[0xff, 0xe0, 0x55][..], &[0x31, 0xff, 0x55], &[0xc3, 0x55]] {
            assert_eq!(placed(code, Role::Deallocate), (0, false, None), "{code:x?}");
        }
    }

    #[test]
    fn entry_and_return_part_when_the_stack_moves_first() {
        // `sub rsp, 24; push rbx`: the arguments can be read at the push, the return address is elsewhere by then.
        let placement = place(&[0x48, 0x83, 0xec, 0x18, 0x53], Role::Allocate);
        assert_eq!(
            placement.entry,
            Site {
                offset: 4,
                emulated: true
            }
        );
        assert_eq!(
            placement.ret,
            Some(Site {
                offset: 0,
                emulated: false
            })
        );
        // `push rbx` after the size is gone: cheap for the return only, so both stay at the dear place.
        let placement = place(&[0x31, 0xff, 0x53], Role::Allocate);
        assert_eq!(
            placement.entry,
            Site {
                offset: 0,
                emulated: false
            }
        );
        assert_eq!(placement.ret, Some(placement.entry));
    }

    #[test]
    fn a_call_is_seen_through() {
        // `push rbx; call +0x10; jmp -0x20`, at 0x1000
        let code = [0x53, 0xe8, 0x10, 0, 0, 0, 0xeb, 0xe0];
        assert!(calls(&code, 0x1000, &[0x1016]) && calls(&code, 0x1000, &[0xfe8]));
        assert!(!calls(&code, 0x1000, &[0x1000, 0x1006]));
    }

    #[test]
    fn what_the_kernel_steps_is_not_taken_for_emulated() {
        // `call` with a 16-bit prefix, `push imm8`, `push [rdi]`, `xchg r8, rax`, a no-op of five bytes, `endbr64`, `ret`
        let stepped: [&[u8]; 7] = [
            &[0x66, 0xe8, 0, 0],
            &[0x6a, 0],
            &[0xff, 0x37],
            &[0x49, 0x90],
            &[0x0f, 0x1f, 0x44, 0, 0],
            &[0xf3, 0x0f, 0x1e, 0xfa],
            &[0xc3],
        ];
        for bytes in stepped {
            assert!(!is_emulated(bytes), "{bytes:x?}");
        }
        let emulated: [&[u8]; 5] = [
            &[0x90],
            &[0x41, 0x57],
            &[0xe8, 0, 0, 0, 0],
            &[0x3e, 0x75, 0],
            &[0x0f, 0x84, 0, 0, 0, 0],
        ];
        for bytes in emulated {
            assert!(is_emulated(bytes), "{bytes:x?}");
        }
    }
}
