//! What an object is called: the function that constructed it, or what V8 has it for.

use super::{
    object::{Objects, pointed},
    shape::Shape,
};
use crate::target_memory::TargetMemory;

/// Most maps between one and its constructor: each property that is added makes another.
const MAX_TRANSITIONS: usize = 4096;

/// What the objects of one map are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) shape: Shape,
    pub(crate) name: Name,
}

/// Where the name of an object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Its map.
    Class(String),
    /// It is a function: its own.
    Function,
    /// It is unused memory.
    Nothing,
}

impl<M: TargetMemory> Objects<'_, M> {
    /// What the objects are whose first word this is; nothing when it does not point to a map.
    pub(crate) fn kind(&mut self, map: u64) -> Option<Kind> {
        let object = self.object(map)?;
        let types = self.layout.types;
        if object.instance_type != types.map || pointed(map) != Some(object.address) {
            return None;
        }
        let layout = self.layout.map;
        let mut words = [0; 1];
        self.memory
            .read(object.address + layout.size_in_words, &mut words)
            .ok()?;
        let mut instance_type = [0; 2];
        self.memory
            .read(object.address + layout.instance_type, &mut instance_type)
            .ok()?;
        let instance_type = u16::from_le_bytes(instance_type);
        let class = self.layout.class(instance_type).unwrap_or_default();
        let (first, last) = types.functions;
        let name = match class {
            "FreeSpace" | "Filler" => Name::Nothing,
            _ if (first..=last).contains(&instance_type) => Name::Function,
            _ if instance_type >= self.layout.first_object => {
                let class = class.strip_prefix("JS").unwrap_or(class);
                let class = if class.is_empty() { "Object" } else { class };
                Name::Class(self.constructor(map).unwrap_or_else(|| class.to_owned()))
            }
            _ => Name::Class(self.internal(instance_type, class).to_owned()),
        };
        Some(Kind {
            shape: Shape::of(self.layout, instance_type, words[0]),
            name,
        })
    }

    /// The words of V8's own developer tools for what is no object of the program.
    fn internal(&self, instance_type: u16, class: &str) -> &'static str {
        if instance_type < self.layout.strings.first_other_type {
            return "(string)";
        }
        let (first, last) = self.layout.types.contexts;
        match class {
            "HeapNumber" => "(number)",
            "" if self.layout.is_kind_of_array(instance_type) => "(array)",
            "FixedArray" | "FixedDoubleArray" | "PropertyArray" => "(array)",
            "DescriptorArray" | "EnumCache" | "Map" | "PrototypeInfo" | "TransitionArray" => "(object shape)",
            "BytecodeArray" | "Code" | "SharedFunctionInfo" => "(code)",
            _ if (first..=last).contains(&instance_type) => "(context)",
            _ => "(system)",
        }
    }

    /// The name of the function that constructs the objects of a map.
    fn constructor(&mut self, map: u64) -> Option<String> {
        let mut at = map;
        for _ in 0..MAX_TRANSITIONS {
            self.transitions = self.transitions.checked_sub(1)?;
            let map = pointed(at)?;
            at = self.memory.word(map + self.layout.map.constructor).ok()?;
            let Some(shared) = self.shared_of(at) else {
                if self.object(at)?.instance_type == self.layout.types.map {
                    continue;
                }
                return None;
            };
            return self.function_name(shared);
        }
        None
    }
}
