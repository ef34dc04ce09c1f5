//! Offsets of struct members, from the running kernel's type information.
//!
//! aya reads BTF for its own relocations but does not show members, so this reads just that much of the format
//! (Documentation/bpf/btf.rst in the kernel's source).

use std::collections::HashMap;

use thiserror::Error;

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// The type information cannot answer.
#[derive(Debug, Error)]
pub enum BtfError {
    /// Not BTF, or cut short.
    #[error("malformed type information: {0}")]
    Malformed(&'static str),
    /// A kind of type from a newer kernel, whose length is unknown.
    #[error("unknown kind of type {0}")]
    UnknownKind(u32),
    /// This kernel has no such struct.
    #[error("no struct {0}")]
    NoStruct(String),
    /// This kernel's struct has no such member.
    #[error("struct {strukt} has no member {member}")]
    NoMember {
        /// Name of the struct.
        strukt: String,
        /// Dotted path of the member.
        member: String,
    },
}

/// Parsed type information of a kernel.
pub(super) struct KernelTypes<'a> {
    strings: &'a [u8],
    types: Vec<Type<'a>>,
    structs: HashMap<&'a [u8], u32>,
}

#[derive(Clone, Copy)]
struct Type<'a> {
    kind: u32,
    /// Struct and union: bit offsets carry a bit-field size in their top byte.
    bitfields: bool,
    /// Size in bytes, or the id of the type referred to.
    size_or_id: u32,
    /// Struct and union: 12 bytes a member.
    members: &'a [u8],
}

struct Member<'a> {
    name: &'a [u8],
    type_id: u32,
    byte_offset: u32,
}

impl<'a> KernelTypes<'a> {
    /// Parses the content of `/sys/kernel/btf/vmlinux`.
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        let header = data.get(..24).ok_or(BtfError::Malformed("no header"))?;
        if u16::from_ne_bytes([header[0], header[1]]) != MAGIC {
            return Err(BtfError::Malformed("wrong magic number"));
        }
        let [header_len, type_off, type_len, str_off, str_len] =
            [4, 8, 12, 16, 20].map(|at| word(header, at).unwrap_or(0) as usize);
        let section = |offset: usize, len: usize| {
            let start = header_len + offset;
            data.get(start..start + len)
                .ok_or(BtfError::Malformed("a section is cut short"))
        };
        let mut parsed = Self {
            strings: section(str_off, str_len)?,
            // Type 0 is void.
            types: vec![Type {
                kind: 0,
                bitfields: false,
                size_or_id: 0,
                members: &[],
            }],
            structs: HashMap::new(),
        };
        parsed.read_types(section(type_off, type_len)?)?;
        Ok(parsed)
    }

    fn read_types(&mut self, mut data: &'a [u8]) -> Result<(), BtfError> {
        const CUT: BtfError = BtfError::Malformed("a type is cut short");
        while !data.is_empty() {
            let name = word(data, 0).ok_or(CUT)?;
            let info = word(data, 4).ok_or(CUT)?;
            let size_or_id = word(data, 8).ok_or(CUT)?;
            let (kind, count) = (info >> 24 & 0x1f, info as usize & 0xffff);
            let extra = match kind {
                2 | 7..=12 | 16 | 18 => 0,
                1 | 14 | 17 => 4,
                3 => 12,
                6 | 13 => 8 * count,
                KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * count,
                unknown => return Err(BtfError::UnknownKind(unknown)),
            };
            let members = data.get(12..12 + extra).ok_or(CUT)?;
            if kind == KIND_STRUCT && name != 0 {
                let id =
                    u32::try_from(self.types.len()).map_err(|_| BtfError::Malformed("too many types"))?;
                self.structs.entry(self.string(name)).or_insert(id);
            }
            self.types.push(Type {
                kind,
                bitfields: info >> 31 == 1,
                size_or_id,
                members,
            });
            data = &data[12 + extra..];
        }
        Ok(())
    }

    /// Byte offset of `member`, a dotted path (`f_path.dentry`); members of anonymous structs and unions are found as C
    /// finds them.
    pub(super) fn offset(&self, strukt: &str, member: &str) -> Result<u32, BtfError> {
        let mut id = *self
            .structs
            .get(strukt.as_bytes())
            .ok_or_else(|| BtfError::NoStruct(strukt.to_owned()))?;
        let mut offset = 0;
        for name in member.split('.') {
            let found = self.find(id, name.as_bytes()).ok_or_else(|| BtfError::NoMember {
                strukt: strukt.to_owned(),
                member: member.to_owned(),
            })?;
            offset += found.byte_offset;
            id = found.type_id;
        }
        Ok(offset)
    }

    /// Size of a struct, bytes.
    pub(super) fn size(&self, strukt: &str) -> Result<u32, BtfError> {
        let id = self
            .structs
            .get(strukt.as_bytes())
            .ok_or_else(|| BtfError::NoStruct(strukt.to_owned()))?;
        Ok(self.types[*id as usize].size_or_id)
    }

    fn find(&self, id: u32, name: &[u8]) -> Option<Member<'a>> {
        let strukt = self.resolve(id)?;
        for member in strukt.members.chunks_exact(12) {
            let bits = word(member, 8)?;
            let member = Member {
                name: self.string(word(member, 0)?),
                type_id: word(member, 4)?,
                byte_offset: if strukt.bitfields {
                    bits & 0x00ff_ffff
                } else {
                    bits
                } / 8,
            };
            if member.name == name {
                return Some(member);
            }
            if member.name.is_empty()
                && let Some(inner) = self.find(member.type_id, name)
            {
                return Some(Member {
                    byte_offset: member.byte_offset + inner.byte_offset,
                    ..inner
                });
            }
        }
        None
    }

    /// The struct or union behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type<'a>> {
        // Deeper chains do not exist; a cycle would be corruption.
        for _ in 0..32 {
            let ty = *self.types.get(id as usize)?;
            match ty.kind {
                KIND_STRUCT | KIND_UNION => return Some(ty),
                8..=11 | 18 => id = ty.size_or_id,
                _ => return None,
            }
        }
        None
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        tail.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_short_is_an_error_and_never_a_panic() {
        let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return;
        };
        assert!(KernelTypes::parse(&data).is_ok());
        for len in [0, 1, 23, 24, 100, data.len() / 2, data.len() - 1] {
            assert!(KernelTypes::parse(&data[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn members_are_found_through_anonymous_structs() {
        let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return;
        };
        let types = KernelTypes::parse(&data).unwrap();
        // In `struct mm_struct` everything is inside one anonymous struct.
        assert!(types.offset("mm_struct", "total_vm").unwrap() > 0);
        assert!(matches!(
            types.offset("mm_struct", "no_such_member"),
            Err(BtfError::NoMember { .. })
        ));
        assert!(matches!(
            types.offset("no_such_struct", "member"),
            Err(BtfError::NoStruct(_))
        ));
    }
}
