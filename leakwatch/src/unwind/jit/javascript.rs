//! Frames of JavaScript: V8's interpreter and its compilers keep frame pointers and, at a fixed distance from each, the
//! function that runs in the frame.
//!
//! A frame is told by two words, a context and a function; both are objects of V8's heap that have the types that they must
//! have. What the optimising compilers have inlined is not seen: its frame is named after the function that it was inlined
//! into.

use std::{collections::HashMap, sync::Arc};

use super::{FrameMemory, JitFrames, NativeFrame};
use crate::{
    model::stack::ScriptFunction,
    v8::{
        function::Fingerprint,
        metadata::Layout,
        object::{Objects, pointed},
    },
};

/// Most functions of one program that are remembered.
const MAX_FUNCTIONS: usize = 4096;
/// Whose functions they are, as it is shown.
const RUNTIME: &str = "node";

/// Names the frames of one program.
pub(super) struct JavaScript {
    layout: Arc<Layout>,
    /// By the word that points to their `SharedFunctionInfo`.
    functions: HashMap<u64, Known>,
    bytes: usize,
}

struct Known {
    fingerprint: Fingerprint,
    functions: Arc<[ScriptFunction]>,
}

impl JavaScript {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            functions: HashMap::new(),
            bytes: 0,
        }
    }
}

impl JitFrames for JavaScript {
    fn functions(
        &mut self,
        frame: NativeFrame,
        memory: &mut FrameMemory<'_>,
    ) -> Option<Arc<[ScriptFunction]>> {
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
        let mut objects = Objects {
            layout: &layout,
            memory,
        };
        let shared = objects.shared_of(function)?;
        let fingerprint = objects.fingerprint(shared)?;
        if let Some(known) = self.functions.get(&shared)
            && known.fingerprint == fingerprint
        {
            return Some(Arc::clone(&known.functions));
        }
        if !objects.is_context(context) {
            return None;
        }
        let function = objects.function(shared)?;
        if self.functions.len() >= MAX_FUNCTIONS {
            self.functions.clear();
            self.bytes = 0;
        }
        self.bytes += size_of::<(u64, Known)>()
            + size_of::<ScriptFunction>()
            + function.name.len()
            + function.file.as_ref().map_or(0, String::len);
        let functions: Arc<[ScriptFunction]> = Arc::from([ScriptFunction {
            runtime: RUNTIME,
            function,
        }]);
        let known = Known {
            fingerprint,
            functions: Arc::clone(&functions),
        };
        self.functions.insert(shared, known);
        Some(functions)
    }

    fn size(&self) -> usize {
        self.bytes
    }
}
