//! What a binary of node states, for tests and fuzzers.

use std::collections::HashMap;

#[cfg(test)]
use super::metadata::Layout;

/// What the binary of node 20.20 states, as far as it is read.
const VALUES: &str = "\
SmiTag 0, SmiTagMask 1, SmiShiftSize 31, HeapObjectTag 1, HeapObjectTagMask 3, TaggedSize 8, class_HeapObject__map__Map 0, \
type_Map__MAP_TYPE 255, type_Script__SCRIPT_TYPE 167, type_ScopeInfo__SCOPE_INFO_TYPE 261, \
type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE 262, type_FixedArray__FIXED_ARRAY_TYPE 175, \
type_ByteArray__BYTE_ARRAY_TYPE 190, type_JSFunction__JS_FUNCTION_TYPE 2066, type_JSProxy__JS_PROXY_TYPE 278, \
type_JSObject__JS_OBJECT_TYPE 1057, type_Code__CODE_TYPE 245, type_Oddball__ODDBALL_TYPE 131, \
type_FreeSpace__FREE_SPACE_TYPE 251, FirstContextType 205, LastContextType 214, FirstNonstringType 128, \
StringRepresentationMask 7, SeqStringTag 0, ConsStringTag 1, SlicedStringTag 3, ThinStringTag 5, StringEncodingMask 8, \
OneByteStringTag 8, class_String__length__int32_t 12, class_SeqOneByteString__chars__char 16, \
class_ConsString__first__String 16, class_ConsString__second__String 24, class_SlicedString__parent__String 16, \
class_SlicedString__offset__SMI 24, class_ThinString__actual__String 16, class_JSFunction__shared__SharedFunctionInfo 24, \
class_SharedFunctionInfo__name_or_scope_info__Object 16, class_SharedFunctionInfo__script_or_debug_info__HeapObject 32, \
scopeinfo_idx_ncontextlocals 2, scopeinfo_idx_first_vars 3, class_Script__name__Object 16, class_Script__source__Object 8, \
class_Script__line_ends__Object 56, class_FixedArrayBase__length__SMI 8, class_FixedArray__data__uintptr_t 16, \
class_Map__instance_type__uint16_t 12, class_Map__instance_size_in_words__char 8, \
class_Map__constructor_or_back_pointer__Object 32, off_fp_context -8, off_fp_function -16, \
class_BytecodeArray__data__uintptr_t 54";

/// The symbols that a binary would have.
pub(crate) fn values() -> HashMap<String, i32> {
    let values = VALUES.split(", ").map(|value| {
        let (name, number) = value.split_once(' ').expect("a name and a number");
        (format!("v8dbg_{name}"), number.parse().expect("a number"))
    });
    values.collect()
}

/// The layout that they state.
#[cfg(test)]
pub(super) fn layout() -> Layout {
    Layout::of(&values()).expect("it is all there")
}
