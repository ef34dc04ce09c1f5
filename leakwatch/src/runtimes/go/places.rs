//! Addresses in one process's code as functions and lines; each is looked up once.

use std::{collections::HashMap, rc::Rc};

use super::{library::Owner, program::Map, stacks::Step};
use crate::model::{snapshot::FrameRow, stack::Function};

/// A place in the code.
pub(super) struct Place {
    /// As the file states it.
    address: u64,
    /// The innermost inlined one first; empty when they are not known.
    functions: Box<[Function]>,
    /// Whose the most telling one of them is, and which it is.
    pub(super) owner: Owner,
    telling: usize,
}

/// Places of one process.
pub(super) struct Places<'a> {
    map: &'a Map,
    bias: u64,
    /// Path of the executable.
    module: &'a str,
    known: HashMap<u64, Rc<Place>>,
}

impl<'a> Places<'a> {
    pub(super) fn new(map: &'a Map, bias: u64, module: &'a str) -> Self {
        Self {
            map,
            bias,
            module,
            known: HashMap::new(),
        }
    }

    /// Whether an address is in its code.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.map.code.contains(&address.wrapping_sub(self.bias))
    }

    /// The call that returns to an address.
    pub(super) fn call(&mut self, return_address: u64) -> Rc<Place> {
        self.at(return_address.wrapping_sub(1))
    }

    /// What is at an address.
    pub(super) fn at(&mut self, address: u64) -> Rc<Place> {
        let look_up = || {
            let address = address.wrapping_sub(self.bias);
            let functions = self.map.table.find(address).unwrap_or_default();
            let owners = functions.iter().map(|function| self.map.library.owner(function));
            let telling = owners
                .enumerate()
                .reduce(|first, other| if other.1 > first.1 { other } else { first });
            let (telling, owner) = telling.unwrap_or((0, Owner::Runtime));
            Rc::new(Place {
                address,
                functions,
                owner,
                telling,
            })
        };
        Rc::clone(self.known.entry(address).or_insert_with(look_up))
    }

    /// How a walk goes on from a return address, to the end of the stack.
    pub(super) fn step(&mut self, return_address: u64) -> Step {
        if !self.is_code(return_address) {
            return Step::End;
        }
        match self.call(return_address).name() {
            // Every goroutine returns to it, but none called it.
            "runtime.goexit" | "runtime.goexit.abi0" | "" => Step::End,
            _ => Step::Frame,
        }
    }

    /// The same, to the first frame that is the program's own.
    pub(super) fn step_to_program(&mut self, return_address: u64) -> Step {
        match self.step(return_address) {
            Step::Frame if self.call(return_address).owner == Owner::Program => Step::Last,
            step => step,
        }
    }

    /// The call that says most on a stack of return addresses, innermost first: the program's own, then one of the library.
    pub(super) fn telling(&mut self, stack: &[u64]) -> Option<u64> {
        let mut first = |owner| stack.iter().find(|&&address| self.call(address).owner == owner);
        first(Owner::Program).or_else(|| first(Owner::Library)).copied()
    }

    /// Calls as frames of a report.
    pub(super) fn frames(&mut self, stack: &[u64]) -> Vec<FrameRow> {
        stack
            .iter()
            .flat_map(|&address| self.call(address).frames(self.module, self.map.build_id.as_ref()))
            .collect()
    }
}

impl Place {
    /// Name of the function that was not inlined; empty when it is not known.
    pub(super) fn name(&self) -> &str {
        self.functions.last().map_or("", |function| &function.name)
    }

    /// Names of all functions there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|function| function.name.as_str())
    }

    /// `main.handle (server.go:41)`.
    pub(super) fn text(&self) -> String {
        let Some(function) = self.functions.get(self.telling) else {
            return format!("{:#x}", self.address);
        };
        let file = function.file.as_deref().map(base_name);
        match file.zip(function.line) {
            Some((file, line)) => format!("{} ({file}:{line})", function.name),
            None => function.name.clone(),
        }
    }

    fn frames(&self, module: &str, build_id: Option<&String>) -> Vec<FrameRow> {
        let frame = |function: Option<&Function>, inlined| FrameRow {
            function: function.map(|function| function.name.clone()),
            file: function.and_then(|function| function.file.clone()),
            line: function.and_then(|function| function.line),
            module: module.to_owned(),
            build_id: build_id.cloned(),
            address: self.address,
            inlined,
            reason: function.is_none().then(|| "no symbol at this address".to_owned()),
        };
        match self.functions.split_last() {
            Some((last, inlined)) => inlined
                .iter()
                .map(|function| frame(Some(function), true))
                .chain([frame(Some(last), false)])
                .collect(),
            None => vec![frame(None, false)],
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
