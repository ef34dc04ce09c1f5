//! Frames of .NET on CoreCLR. Its compiler keeps frame pointers; what framework assemblies bring compiled is not named.

use std::collections::HashMap;

use super::{FrameMemory, JitFrames, NativeFrame};
use crate::{
    coreclr::{code::Method, method_table::Types},
    model::stack::{Function, ScriptFunction},
};

/// Most addresses of one program that are remembered.
const MAX_ADDRESSES: usize = 4096;
/// Whose methods they are, as it is shown.
const RUNTIME: &str = "dotnet";

/// Names the frames of one program.
#[derive(Default)]
pub(super) struct DotNet {
    types: Types,
    /// By address in code: the method there, and what it is called; nothing where none is.
    known: HashMap<u64, Option<(Method, ScriptFunction)>>,
    bytes: usize,
}

impl DotNet {
    fn find(&mut self, pc: u64, memory: &mut FrameMemory<'_>) -> Option<(Method, ScriptFunction)> {
        let method = Method::at(pc, memory)?;
        let (table, row) = method.owner(memory)?;
        let function = ScriptFunction {
            runtime: RUNTIME,
            function: Function {
                name: self.types.method_name(table, row, memory)?,
                file: None,
                line: None,
            },
        };
        Some((method, function))
    }
}

impl JitFrames for DotNet {
    fn functions(&mut self, frame: NativeFrame, memory: &mut FrameMemory<'_>) -> Option<Vec<ScriptFunction>> {
        if !frame.is_made {
            return None;
        }
        match self.known.get(&frame.pc) {
            Some(None) => return None,
            Some(Some((method, function))) if method.is_there(memory) => return Some(vec![function.clone()]),
            _ => {}
        }
        let found = self.find(frame.pc, memory);
        if self.known.len() >= MAX_ADDRESSES {
            self.known.clear();
            self.bytes = 0;
        }
        let name = found
            .as_ref()
            .map_or(0, |(_, function)| function.function.name.len());
        self.bytes += size_of::<(u64, Option<(Method, ScriptFunction)>)>() + name;
        let function = found.as_ref().map(|(_, function)| function.clone());
        self.known.insert(frame.pc, found);
        function.map(|function| vec![function])
    }

    fn size(&self) -> usize {
        self.bytes
    }
}
