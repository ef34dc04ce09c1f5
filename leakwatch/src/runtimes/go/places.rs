//! Addresses in one process's code as functions and lines; each is looked up once.

use std::{collections::HashMap, rc::Rc};

use super::{library::Owner, program::Map, stacks::Step};
use crate::model::{snapshot::FrameRow, stack::Function};

/// A place in the code.
pub(super) struct Place {
    /// As the file states it.
    address: u64,
    pub(super) function: Option<Function>,
    pub(super) owner: Owner,
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
            let function = self.map.table.find(address).ok();
            let owner = function.as_ref().map(|function| self.map.library.owner(function));
            Rc::new(Place {
                address,
                owner: owner.unwrap_or(Owner::Runtime),
                function,
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
            .map(|&address| self.call(address).frame(self.module, self.map.build_id.as_ref()))
            .collect()
    }
}

impl Place {
    /// Name of the function; empty when it is not known.
    pub(super) fn name(&self) -> &str {
        self.function.as_ref().map_or("", |function| &function.name)
    }

    /// `main.handle (server.go:41)`.
    pub(super) fn text(&self) -> String {
        let Some(function) = &self.function else {
            return format!("{:#x}", self.address);
        };
        let file = function.file.as_deref().map(base_name);
        match file.zip(function.line) {
            Some((file, line)) => format!("{} ({file}:{line})", function.name),
            None => function.name.clone(),
        }
    }

    fn frame(&self, module: &str, build_id: Option<&String>) -> FrameRow {
        let function = self.function.as_ref();
        FrameRow {
            function: function.map(|function| function.name.clone()),
            file: function.and_then(|function| function.file.clone()),
            line: function.and_then(|function| function.line),
            module: module.to_owned(),
            build_id: build_id.cloned(),
            address: self.address,
            inlined: false,
            reason: function.is_none().then(|| "no symbol at this address".to_owned()),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
