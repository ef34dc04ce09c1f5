//! Functions that were named before.

use std::collections::HashMap;

use crate::model::stack::{Function, ScriptFunction};

/// Most addresses of one program that are remembered; then they begin anew.
const MAX_ADDRESSES: usize = 4096;

/// By address, what a function was named, and the stamp `T` by which it is known to be the same still.
pub(super) struct Known<T> {
    entries: HashMap<u64, (T, ScriptFunction)>,
    bytes: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<T> Known<T> {
    /// What was found there, if the stamp `is_same`.
    pub(super) fn get(&self, address: u64, is_same: impl FnOnce(&T) -> bool) -> Option<ScriptFunction> {
        let (stamp, function) = self.entries.get(&address)?;
        is_same(stamp).then(|| function.clone())
    }

    /// Remembers it in place of what was there.
    pub(super) fn insert(&mut self, address: u64, stamp: T, function: ScriptFunction) {
        if self.entries.len() >= MAX_ADDRESSES {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += Self::size_of(&function);
        if let Some((_, before)) = self.entries.insert(address, (stamp, function)) {
            self.bytes -= Self::size_of(&before);
        }
    }

    /// Memory of all of them, bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes
    }

    fn size_of(ScriptFunction { function, .. }: &ScriptFunction) -> usize {
        let Function { name, file, .. } = function;
        size_of::<(u64, (T, ScriptFunction))>() + name.len() + file.as_ref().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> ScriptFunction {
        ScriptFunction {
            runtime: "any",
            function: Function {
                name: name.to_owned(),
                file: None,
                line: None,
            },
        }
    }

    #[test]
    fn what_is_not_the_same_any_more_is_not_known_and_is_replaced() {
        let mut known = Known::default();
        known.insert(1, 7, function("first"));
        let size = known.size();
        assert_eq!(known.get(1, |&stamp| stamp == 7), Some(function("first")));
        assert_eq!(known.get(1, |&stamp| stamp == 8), None);
        assert_eq!(known.get(2, |_| true), None);
        known.insert(1, 8, function("later"));
        assert_eq!(known.get(1, |&stamp| stamp == 8), Some(function("later")));
        assert_eq!(known.size(), size, "it is one as before");
    }

    #[test]
    fn they_are_bounded() {
        let mut known = Known::default();
        for address in 0..=MAX_ADDRESSES as u64 {
            known.insert(address, (), function("any"));
        }
        assert_eq!(known.get(0, |()| true), None);
        assert!(known.get(MAX_ADDRESSES as u64, |()| true).is_some());
        assert_eq!(known.size(), Known::<()>::size_of(&function("any")));
    }
}
