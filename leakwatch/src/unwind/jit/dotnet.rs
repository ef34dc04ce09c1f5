//! Frames of .NET on CoreCLR. Its compiler keeps frame pointers; what framework assemblies bring compiled is not named.

use std::collections::HashSet;

use super::{FrameMemory, JitFrames, NativeFrame, known::Known};
use crate::{
    coreclr::{code::Method, method_table::Types},
    model::stack::{Function, ScriptFunction},
};

/// Most addresses of no method that are remembered.
const MAX_OTHERS: usize = 4096;
/// Whose methods they are, as it is shown.
const RUNTIME: &str = crate::model::runtime::DOTNET;

/// Names the frames of one program.
#[derive(Default)]
pub(super) struct DotNet {
    types: Types,
    /// By address in code.
    known: Known<Method>,
    /// Addresses in code of no method that can be named.
    others: HashSet<u64>,
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
        if self.others.contains(&frame.pc) {
            return None;
        }
        if let Some(function) = self.known.get(frame.pc, |method| method.is_there(memory)) {
            return Some(vec![function]);
        }
        let Some((method, function)) = self.find(frame.pc, memory) else {
            if self.others.len() >= MAX_OTHERS {
                self.others.clear();
            }
            self.others.insert(frame.pc);
            return None;
        };
        self.known.insert(frame.pc, method, function.clone());
        Some(vec![function])
    }

    fn size(&self) -> usize {
        self.types.size() + self.known.size() + self.others.len() * size_of::<u64>()
    }
}
