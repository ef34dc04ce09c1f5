//! Frames of JavaScript: V8's interpreter and its compilers keep frame pointers and, at a fixed distance from each, the
//! function that runs in the frame.
//!
//! A frame is told by two words, a context and a function; both are objects of V8's heap that have the types that they must
//! have. What an optimising compiler has inlined is found in the tables of its code, of versions of V8 that are known; of
//! others a frame is named after the function that all else was inlined into.

use std::sync::Arc;

use super::{FrameMemory, JitFrames, NativeFrame, known::Known};
use crate::{
    model::stack::ScriptFunction,
    v8::{
        function::Fingerprint,
        metadata::Layout,
        object::{Objects, pointed},
    },
};

/// Whose functions they are, as it is shown.
const RUNTIME: &str = crate::model::runtime::NODE;

/// Names the frames of one program.
pub(super) struct JavaScript {
    layout: Arc<Layout>,
    /// By the word that points to their `SharedFunctionInfo`.
    functions: Known<Fingerprint>,
}

impl JavaScript {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            functions: Known::default(),
        }
    }
}

impl JitFrames for JavaScript {
    fn functions(&mut self, frame: NativeFrame, memory: &mut FrameMemory<'_>) -> Option<Vec<ScriptFunction>> {
        // Only in the copy: elsewhere a register that holds something else would be taken for a frame pointer.
        let word = |offset| memory.stack.read(frame.fp.checked_add_signed(offset)?);
        let (context, function) = (
            word(self.layout.frame_context)?,
            word(self.layout.frame_function)?,
        );
        if pointed(context).is_none() || pointed(function).is_none() {
            return None;
        }
        let layout = Arc::clone(&self.layout);
        let mut objects = Objects::new(&layout, memory);
        let shared = objects.shared_of(function)?;
        let outermost = self.function(&mut objects, shared, |objects| objects.is_context(context))?;
        let inlined = if frame.is_made {
            objects.inlined(frame.pc)
        } else {
            Vec::new()
        };
        let inlined: Option<Vec<ScriptFunction>> = inlined
            .into_iter()
            .map(|shared| self.function(&mut objects, shared, |_| true))
            .collect();
        let mut functions = inlined.unwrap_or_default();
        functions.push(outermost);
        Some(functions)
    }

    fn size(&self) -> usize {
        self.functions.size()
    }
}

impl JavaScript {
    /// The function with this `SharedFunctionInfo`; one that was not met before has to be one.
    fn function(
        &mut self,
        objects: &mut Objects<'_, FrameMemory<'_>>,
        shared: u64,
        is_one: impl FnOnce(&mut Objects<'_, FrameMemory<'_>>) -> bool,
    ) -> Option<ScriptFunction> {
        let fingerprint = objects.fingerprint(shared)?;
        if let Some(function) = self.functions.get(shared, |known| *known == fingerprint) {
            return Some(function);
        }
        if !is_one(objects) {
            return None;
        }
        let function = ScriptFunction {
            runtime: RUNTIME,
            function: objects.function(shared)?,
        };
        self.functions.insert(shared, fingerprint, function.clone());
        Some(function)
    }
}
