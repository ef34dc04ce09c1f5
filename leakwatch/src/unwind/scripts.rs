//! Functions that an interpreter runs or that a JIT compiler made: they are in no file, so a frame of one is its name.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::model::stack::{CodeAddress, Function, ModuleId, ScriptFunction};

/// Most functions that are kept.
const MAX_FUNCTIONS: usize = 32 << 10;

/// Each different function once. Numbers of those that are not in use are given again.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    slots: Vec<Option<Arc<ScriptFunction>>>,
    numbers: HashMap<Arc<ScriptFunction>, u64>,
    free: Vec<u64>,
    bytes: usize,
}

impl Scripts {
    /// The frame that stands for a function; `None` when the table is full.
    pub(super) fn frame(&mut self, function: ScriptFunction) -> Option<CodeAddress> {
        let number = match self.numbers.get(&function) {
            Some(&number) => number,
            None => self.add(function)?,
        };
        Some(CodeAddress {
            module: ModuleId::SCRIPT,
            address: number,
        })
    }

    fn add(&mut self, function: ScriptFunction) -> Option<u64> {
        if self.numbers.len() >= MAX_FUNCTIONS {
            return None;
        }
        let function = Arc::new(function);
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u64 - 1
        });
        *self.slots.get_mut(usize::try_from(number).ok()?)? = Some(Arc::clone(&function));
        self.bytes += size(&function.function);
        self.numbers.insert(function, number);
        Some(number)
    }

    /// The function behind the address of a frame.
    pub(super) fn get(&self, number: u64) -> Option<&ScriptFunction> {
        self.slots.get(usize::try_from(number).ok()?)?.as_deref()
    }

    /// Forgets all others.
    pub(super) fn retain(&mut self, in_use: &HashSet<u64>) {
        let Self {
            slots,
            numbers,
            free,
            bytes,
        } = self;
        numbers.retain(|function, number| {
            let keep = in_use.contains(number);
            if !keep {
                if let Some(slot) = usize::try_from(*number).ok().and_then(|at| slots.get_mut(at)) {
                    *slot = None;
                }
                free.push(*number);
                *bytes -= size(&function.function);
            }
            keep
        });
    }

    /// Memory that they take, bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes
            + self.numbers.capacity()
                * (size_of::<(Arc<ScriptFunction>, u64)>() + size_of::<ScriptFunction>())
    }
}

fn size(function: &Function) -> usize {
    function.name.len() + function.file.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Scripts;
    use crate::model::stack::{Function, ScriptFunction};

    fn function(line: u32) -> ScriptFunction {
        ScriptFunction {
            runtime: "python",
            function: Function {
                name: "handle".to_owned(),
                file: Some("server.py".to_owned()),
                line: Some(line),
            },
        }
    }

    #[test]
    fn a_function_has_one_number_until_it_is_not_used() {
        let mut scripts = Scripts::default();
        let first = scripts.frame(function(1)).expect("room");
        let second = scripts.frame(function(2)).expect("room");
        assert_ne!(first, second);
        assert_eq!(scripts.frame(function(1)), Some(first));
        scripts.retain(&HashSet::from([second.address]));
        assert_eq!(scripts.get(first.address), None);
        assert_eq!(scripts.get(second.address), Some(&function(2)));
        assert_eq!(scripts.frame(function(3)), Some(first), "numbers are given again");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut scripts = Scripts::default();
        let taken = (0..).take_while(|&line| scripts.frame(function(line)).is_some());
        assert_eq!(taken.count(), super::MAX_FUNCTIONS);
    }
}
