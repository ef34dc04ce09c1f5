//! Unwind tables of a module, checked before framehop reads them.
//!
//! framehop trusts what it evaluates: an expression that jumps back runs forever, and an entry of megabytes is evaluated
//! anew for each frame. So every entry is looked at once, when its module is loaded, and framehop gets an index of those
//! entries that are sound; it never sees the index in the file, which may point anywhere.

use std::collections::HashMap;

use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder as _, UnwinderNative};
use gimli::{
    BaseAddresses, CallFrameInstruction, CallFrameInstructionIter, CieOrFde, CommonInformationEntry, EhFrame,
    Encoding, EndianSlice, LittleEndian, Operation, UnwindExpression, UnwindSection as _,
};

use super::elf::UnwindSection;

/// Longest entry, bytes: thousands of changes of the stack pointer in one function.
const MAX_ENTRY: usize = 16 << 10;
/// Most CIEs (kinds of entries) of a module.
const MAX_KINDS: usize = 64 << 10;
/// Version of `.eh_frame_hdr`.
const VERSION: u8 = 1;
const UDATA4: u8 = 0x03;
const UDATA8: u8 = 0x04;
const DATAREL_SDATA4: u8 = 0x3b;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Unwinds one frame.
pub(super) type FrameUnwinder = UnwinderNative<Box<[u8]>, MayAllocateDuringUnwind>;

/// The unwind tables of one module, by addresses as its file states them.
pub(super) struct Tables {
    pub(super) unwinder: FrameUnwinder,
    /// Memory that they take, bytes.
    pub(super) size: usize,
}

impl Tables {
    /// `base` is the lowest address that the file states: framehop looks 4 GiB far from there.
    /// Nothing when not one entry is sound.
    pub(super) fn new(section: UnwindSection, base: u64) -> Option<Self> {
        let entries = sound_entries(&section);
        if entries.is_empty() {
            return None;
        }
        let index = index(section.address, entries);
        let size = section.bytes.len() + index.len();
        let end = section.address + section.bytes.len() as u64;
        let info = ExplicitModuleSectionInfo {
            base_svma: base,
            eh_frame_svma: Some(section.address..end),
            eh_frame: Some(section.bytes.into_boxed_slice()),
            // Entries of the index are relative to this.
            eh_frame_hdr_svma: Some(section.address..section.address),
            eh_frame_hdr: Some(index.into_boxed_slice()),
            ..ExplicitModuleSectionInfo::default()
        };
        let mut unwinder = FrameUnwinder::new();
        unwinder.add_module(Module::new(String::new(), base..u64::MAX, base, info));
        Some(Self { unwinder, size })
    }
}

/// An `.eh_frame_hdr` of the sound entries.
fn index(section: u64, mut entries: Vec<(i32, i32)>) -> Vec<u8> {
    entries.sort_unstable();
    let mut index = vec![VERSION, UDATA8, UDATA4, DATAREL_SDATA4];
    index.extend(section.to_le_bytes());
    // Each has 4 bytes at least of a section that is limited to far less than 4 GiB.
    index.extend(u32::try_from(entries.len()).unwrap_or(0).to_le_bytes());
    for (address, offset) in entries {
        index.extend(address.to_le_bytes());
        index.extend(offset.to_le_bytes());
    }
    index
}

/// First address of the code that an entry is for, relative to the section, and the entry's place in the section.
fn sound_entries(section: &UnwindSection) -> Vec<(i32, i32)> {
    let mut eh_frame = EhFrame::new(&section.bytes, LittleEndian);
    eh_frame.set_address_size(8);
    let bases = BaseAddresses::default().set_eh_frame(section.address);
    let check = Check {
        eh_frame,
        bases: &bases,
    };
    let mut kinds = HashMap::new();
    let mut sound = Vec::new();
    let mut entries = eh_frame.entries(&bases);
    // An error ends it: where the next entry begins is not known then.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(entry) = entry else { continue };
        if entry.entry_len() > MAX_ENTRY {
            continue;
        }
        let offset = entry.offset();
        let entry = entry.parse(|_, _, offset| {
            if kinds.len() == MAX_KINDS {
                kinds.clear();
            }
            let kind = kinds.entry(offset.0).or_insert_with(|| check.kind(offset.0));
            kind.clone().ok_or(gimli::Error::CfiInstructionInInvalidContext)
        });
        let Ok(entry) = entry else { continue };
        let distance = entry
            .initial_address()
            .wrapping_sub(section.address)
            .cast_signed();
        let (Ok(distance), Ok(offset)) = (i32::try_from(distance), i32::try_from(offset)) else {
            continue;
        };
        if check.is_sound(entry.instructions(&eh_frame, &bases), entry.cie().encoding()) {
            sound.push((distance, offset));
        }
    }
    sound
}

struct Check<'a> {
    eh_frame: EhFrame<Slice<'a>>,
    bases: &'a BaseAddresses,
}

impl<'a> Check<'a> {
    fn kind(&self, offset: usize) -> Option<CommonInformationEntry<Slice<'a>>> {
        let kind = self.eh_frame.cie_from_offset(self.bases, offset.into()).ok()?;
        let is_sound = kind.entry_len() <= MAX_ENTRY
            && self.is_sound(kind.instructions(&self.eh_frame, self.bases), kind.encoding());
        is_sound.then_some(kind)
    }

    fn is_sound(
        &self,
        mut instructions: CallFrameInstructionIter<'_, Slice<'a>>,
        encoding: Encoding,
    ) -> bool {
        loop {
            let expression = match instructions.next() {
                Ok(Some(
                    CallFrameInstruction::DefCfaExpression { expression }
                    | CallFrameInstruction::Expression { expression, .. }
                    | CallFrameInstruction::ValExpression { expression, .. },
                )) => expression,
                Ok(Some(_)) => continue,
                Ok(None) => return true,
                Err(_) => return false,
            };
            if !self.ends(&expression, encoding) {
                return false;
            }
        }
    }

    /// Whether an expression runs straight from its start to its end. No compiler makes one that branches, and one that
    /// branches ahead may land inside an operand that reads as a branch back.
    fn ends(&self, expression: &UnwindExpression<usize>, encoding: Encoding) -> bool {
        let Ok(expression) = expression.get(&self.eh_frame) else {
            return false;
        };
        let mut operations = expression.operations(encoding);
        loop {
            match operations.next() {
                Ok(Some(Operation::Bra { .. } | Operation::Skip { .. })) | Err(_) => return false,
                Ok(Some(_)) => {}
                Ok(None) => return true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use framehop::{CacheNative, FrameAddress, Unwinder as _};

    use super::{Tables, sound_entries};
    use crate::unwind::{
        Registers, arch,
        elf::{Elf, UnwindSection},
    };

    const ADDRESS: u64 = 0x1_0000;
    /// Code that the entry of [`section`] is for.
    const CODE: i32 = 0x2000;

    /// A section with one entry, whose instructions these are.
    fn section(instructions: &[u8]) -> UnwindSection {
        // CIE: version 1, "zR", code alignment 1, data alignment -8, return address 16, pointers pcrel sdata4;
        // CFA = rsp + 8, return address at CFA - 8.
        let mut bytes = vec![
            20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
        ];
        let start = bytes.len();
        let length = 4 + 4 + 4 + 1 + instructions.len();
        bytes.extend(u32::try_from(length).expect("short").to_le_bytes());
        bytes.extend(u32::try_from(start + 4).expect("short").to_le_bytes());
        bytes.extend((CODE - i32::try_from(start + 8).expect("short")).to_le_bytes());
        bytes.extend(0x100_u32.to_le_bytes());
        bytes.push(0);
        bytes.extend(instructions);
        bytes.extend([0; 4]);
        UnwindSection {
            address: ADDRESS,
            bytes,
        }
    }

    #[test]
    fn a_sound_entry_is_in_the_index() {
        // CFA = rsp + 16
        assert_eq!(sound_entries(&section(&[0x0e, 16])), [(CODE, 24)]);
        // CFA by the expression `rsp + 8`
        assert_eq!(sound_entries(&section(&[0x0f, 2, 0x77, 8])), [(CODE, 24)]);
    }

    #[test]
    fn an_expression_that_may_run_forever_is_left_out() {
        // `skip -3`: jumps to itself.
        assert_eq!(sound_entries(&section(&[0x0f, 3, 0x2f, 0xfd, 0xff])), []);
        // `lit1, bra -4`
        assert_eq!(sound_entries(&section(&[0x0f, 4, 0x31, 0x28, 0xfc, 0xff])), []);
        // `skip 1` into the operand of `const2u`.
        assert_eq!(
            sound_entries(&section(&[0x0f, 6, 0x2f, 1, 0, 0x0a, 0x2f, 0xfd])),
            []
        );
    }

    #[test]
    fn an_entry_without_end_is_left_out() {
        assert_eq!(sound_entries(&section(&vec![0; super::MAX_ENTRY])), []);
    }

    #[test]
    fn every_broken_byte_is_survived() {
        let file = std::fs::read("/proc/self/exe").expect("own executable");
        let whole = Elf::read(&*file)
            .and_then(|elf| elf.unwind_section(&*file))
            .expect(".eh_frame");
        // Every kind of entry is made by hand there: rows, an expression, saved and restored states.
        let by_hand = section(&[
            0x0e, 16, 0x86, 2, 0x42, 0x0a, 0x0d, 6, 0x41, 0x0b, 0x0f, 2, 0x77, 8, 0x10, 6, 2, 0x76, 0,
        ]);
        let real = UnwindSection {
            address: whole.address,
            bytes: whole.bytes[..4096].to_vec(),
        };
        for right in [by_hand, real] {
            let address = right.address;
            let codes: Vec<i32> = sound_entries(&right).into_iter().map(|(code, _)| code).collect();
            assert!(!codes.is_empty());
            for index in 0..right.bytes.len() {
                for broken in [0, 0x7f, 0xff, right.bytes[index] ^ 0x10] {
                    let mut bytes = right.bytes.clone();
                    bytes[index] = broken;
                    let Some(tables) = Tables::new(UnwindSection { address, bytes }, 0) else {
                        continue;
                    };
                    for code in codes.iter().take(4) {
                        unwind_all(&tables, address.wrapping_add_signed(i64::from(*code)));
                    }
                }
            }
        }
    }

    /// From each of the first instructions, with registers at both ends of what there is.
    fn unwind_all(tables: &Tables, code: u64) {
        let mut cache = CacheNative::new();
        for offset in 0..16 {
            for registers in [0, 0x1000, u64::MAX - 7] {
                let registers = Registers {
                    pc: code,
                    sp: registers,
                    fp: registers,
                    lr: code,
                };
                let mut state = arch::state(&registers);
                let address = FrameAddress::from_instruction_pointer(code.wrapping_add(offset));
                let _ = tables
                    .unwinder
                    .unwind_frame(address, &mut state, &mut cache, &mut |address| Ok(address));
            }
        }
    }

    #[test]
    fn most_entries_of_a_real_file_are_sound() {
        let file = std::fs::read("/proc/self/exe").expect("own executable");
        let section = Elf::read(&*file)
            .and_then(|elf| elf.unwind_section(&*file))
            .expect(".eh_frame");
        let bytes = section.bytes.len();
        let entries = sound_entries(&section).len();
        assert!(entries > 1000, "{entries}");
        assert_eq!(
            Tables::new(section, 0).expect("has entries").size,
            bytes + 16 + 8 * entries
        );
    }
}
