//! How long an object is.

use super::metadata::Layout;

/// Bytes of an object that its length follows from.
pub(crate) const HEADER: usize = 24;
/// Bits of the word of a property array that are its length; the others are a hash (`PropertyArray::LengthField`).
const PROPERTY_LENGTH: u64 = 0x3ff;
/// Bits of the first word of a big integer that are its length in words, behind the sign (`BigIntBase::LengthBits`).
const BIG_INTEGER_LENGTH: u64 = 0x3fff_ffff;

/// How the length of the objects of one type follows from their first words. Lengths are small integers at 8 unless it says
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All are as long as their map says, bytes.
    Fixed(u64),
    /// That many elements of so many bytes behind a header of so many.
    Elements { header: u64, each: u64 },
    /// The same, characters of so many bytes; their number is 4 bytes at 12.
    Characters { header: u64, each: u64 },
    /// Bytes: it is unused memory.
    Free,
    /// The length shares its word.
    Properties,
    /// The number of triples is 2 bytes at 8.
    Descriptors,
    /// Two lengths, of bytes and of pointers, 4 bytes each at 8.
    Preparsed,
    /// The length shares its word.
    BigInteger,
    /// It is not known how long they are.
    Unknown,
}

impl Shape {
    /// The shape of an instance type whose map says a length in words, 0 for one that varies.
    pub(crate) fn of(layout: &Layout, instance_type: u16, words: u8) -> Self {
        if words != 0 {
            return Self::Fixed(u64::from(words) * 8);
        }
        let strings = layout.strings;
        if instance_type < strings.first_other_type {
            let is_one_byte = instance_type & strings.encoding_mask == strings.one_byte;
            return if instance_type & strings.representation_mask == strings.sequential {
                Self::Characters {
                    header: strings.chars,
                    each: if is_one_byte { 1 } else { 2 },
                }
            } else {
                Self::Unknown
            };
        }
        let (first, last) = layout.types.contexts;
        if (first..=last).contains(&instance_type) {
            return Self::Elements { header: 16, each: 8 };
        }
        match layout.class(instance_type) {
            Some(class) => Self::of_class(class, layout),
            // Hash tables and the like follow the arrays that they are, and have no metadata of their own.
            None if layout.is_kind_of_array(instance_type) => Self::Elements { header: 16, each: 8 },
            None => Self::Unknown,
        }
    }

    fn of_class(class: &str, layout: &Layout) -> Self {
        match class {
            "FixedArray"
            | "FixedDoubleArray"
            | "WeakFixedArray"
            | "TrustedFixedArray"
            | "TrustedWeakFixedArray"
            | "ProtectedFixedArray"
            | "ProtectedWeakFixedArray"
            | "ClosureFeedbackCellArray"
            | "EmbedderDataArray"
            | "ObjectBoilerplateDescription"
            | "SloppyArgumentsElements"
            | "TransitionArray"
            | "HashTable"
            | "ScriptContextTable"
            | "RegExpMatchInfo" => Self::Elements { header: 16, each: 8 },
            "ByteArray" | "TrustedByteArray" => Self::Elements { header: 16, each: 1 },
            "WeakArrayList" | "ArrayList" | "DependentCode" => Self::Elements { header: 24, each: 8 },
            "BytecodeArray" => layout
                .bytecodes
                .map_or(Self::Unknown, |header| Self::Elements { header, each: 1 }),
            "FreeSpace" => Self::Free,
            "PropertyArray" => Self::Properties,
            "DescriptorArray" | "StrongDescriptorArray" => Self::Descriptors,
            "PreparseData" => Self::Preparsed,
            "BigInt" => Self::BigInteger,
            _ => Self::Unknown,
        }
    }

    /// Bytes of an object that begins so; `None` when it is not known, or cannot be.
    pub(crate) fn size(self, object: &[u8; HEADER]) -> Option<u64> {
        let word = u64::from_le_bytes(*object[8..].first_chunk()?);
        let length = (word.trailing_zeros() >= 32).then_some(word >> 32);
        let four = |at: usize| {
            object[at..]
                .first_chunk()
                .map(|&bytes| u64::from(u32::from_le_bytes(bytes)))
        };
        let size = match self {
            Self::Fixed(size) => size,
            Self::Elements { header, each } => header.checked_add(length?.checked_mul(each)?)?,
            Self::Characters { header, each } => header.checked_add(four(12)?.checked_mul(each)?)?,
            Self::Free => length?,
            Self::Properties => 16 + (length? & PROPERTY_LENGTH) * 8,
            Self::Descriptors => 24 + (word & 0xffff) * 24,
            Self::Preparsed => 16 + four(8)?.next_multiple_of(8) + four(12)? * 8,
            Self::BigInteger => 16 + (word >> 1 & BIG_INTEGER_LENGTH) * 8,
            Self::Unknown => return None,
        };
        (size >= 8).then(|| size.next_multiple_of(8))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{HEADER, Shape};

    fn object(at_8: u64) -> [u8; HEADER] {
        let mut object = [0; HEADER];
        object[8..16].copy_from_slice(&at_8.to_le_bytes());
        object
    }

    #[test]
    fn lengths_follow_from_the_first_words() {
        let array = Shape::Elements { header: 16, each: 8 };
        assert_eq!(array.size(&object(3 << 32)), Some(40));
        assert_eq!(array.size(&object(3)), None, "no small integer");
        let text = Shape::Characters { header: 16, each: 1 };
        assert_eq!(text.size(&object(5 << 32 | 0xabc)), Some(24));
        assert_eq!(Shape::Properties.size(&object(0x1c03 << 32)), Some(40));
        assert_eq!(Shape::Descriptors.size(&object(0xffff_0002)), Some(72));
        assert_eq!(Shape::Preparsed.size(&object(1 << 32 | 9)), Some(40));
        assert_eq!(Shape::BigInteger.size(&object(2 << 1 | 1)), Some(32));
        assert_eq!(Shape::Free.size(&object(0)), None, "nothing is that short");
        assert_eq!(Shape::Unknown.size(&object(0)), None);
    }

    proptest! {
        #[test]
        fn any_object_is_survived(object in any::<[u8; HEADER]>(), header in any::<u8>(), each in any::<u8>()) {
            let elements = Shape::Elements { header: header.into(), each: each.into() };
            for shape in [elements, Shape::Free, Shape::Properties, Shape::Descriptors, Shape::Preparsed, Shape::BigInteger] {
                let size = shape.size(&object);
                assert!(size.is_none_or(|size| size >= 8 && size % 8 == 0));
            }
        }
    }
}
