//! From a function on the stack to its name, its file and the line where it begins.
//!
//! The line is that of the function and not that of the call: it is the same in the interpreter and in the code of each
//! compiler, so that one place in a program stays one place while it is compiled.

use super::object::{Object, Objects, pointed, smi};
use crate::{model::stack::Function, target_memory::TargetMemory};

/// Slots of a `ScopeInfo` that are looked at behind its locals: a name, its index, an inferred name, two positions.
const SLOTS: usize = 6;
/// More locals than these are in a table of their own, which takes one slot (`kScopeInfoMaxInlinedLocalNamesSize`).
const MAX_INLINED_LOCALS: usize = 75;
/// Most locals that a sane scope has.
const MAX_LOCALS: usize = 1 << 16;
/// A name for what has none.
const ANONYMOUS: &str = "(anonymous)";

/// Words of a `SharedFunctionInfo` that make it the one that it was: its map, its name, its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u64; 3]);

/// What a `ScopeInfo` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scope {
    name: Option<String>,
    /// Where the function begins in its source, characters.
    start: Option<u32>,
}

impl<M: TargetMemory> Objects<'_, M> {
    /// Whether a word on the stack points to a context, which every frame of JavaScript has in its place.
    pub(crate) fn is_context(&mut self, word: u64) -> bool {
        let (first, last) = self.layout.types.contexts;
        let object = self.object(word);
        object.is_some_and(|object| (first..=last).contains(&object.instance_type))
    }

    /// The word that points to the `SharedFunctionInfo` of a function; nothing when this is no function.
    pub(crate) fn shared_of(&mut self, word: u64) -> Option<u64> {
        let (first, last) = self.layout.types.functions;
        let function = self.object(word)?;
        if !(first..=last).contains(&function.instance_type) {
            return None;
        }
        self.memory
            .word(function.address + self.layout.function.shared)
            .ok()
    }

    /// What makes the `SharedFunctionInfo` there that one, at the moment.
    pub(crate) fn fingerprint(&mut self, shared: u64) -> Option<Fingerprint> {
        let at = pointed(shared)?;
        let layout = self.layout.function;
        let mut word = |offset| self.memory.word(at + offset).ok();
        Some(Fingerprint([
            word(0)?,
            word(layout.name_or_scope_info)?,
            word(layout.script)?,
        ]))
    }

    /// Name, file and line of the `SharedFunctionInfo` that a word points to; nothing when there is none any more.
    pub(crate) fn function(&mut self, shared: u64) -> Option<Function> {
        let shared = self.shared_function_info(shared)?;
        let scope = self.scope(shared);
        let script = self
            .field(shared, self.layout.function.script)
            .filter(|script| script.instance_type == self.layout.types.script);
        let file = script.and_then(|script| self.script_name(script));
        let line = script
            .zip(scope.start)
            .and_then(|(script, start)| self.line(script, start));
        Some(Function {
            name: scope.name.unwrap_or_else(|| ANONYMOUS.to_owned()),
            file,
            line,
        })
    }

    /// Only its name; nothing when it has none.
    pub(super) fn function_name(&mut self, shared: u64) -> Option<String> {
        let shared = self.shared_function_info(shared)?;
        self.scope(shared).name
    }

    fn shared_function_info(&mut self, word: u64) -> Option<Object> {
        let object = self.object(word)?;
        (object.instance_type == self.layout.types.shared_function_info).then_some(object)
    }

    fn script_name(&mut self, script: Object) -> Option<String> {
        let name = self.field(script, self.layout.script.name)?;
        let name = self.text(name).filter(|name| !name.is_empty())?;
        // Modules are named by their URL, other files by their path.
        Some(name.strip_prefix("file://").unwrap_or(&name).to_owned())
    }

    /// What is known of a function before it is compiled is its name alone, and behind that its scope.
    fn scope(&mut self, shared: Object) -> Scope {
        let Some(known) = self.field(shared, self.layout.function.name_or_scope_info) else {
            return Scope::default();
        };
        if known.instance_type == self.layout.types.scope_info {
            self.scope_info(known).unwrap_or_default()
        } else {
            Scope {
                name: self.text(known).filter(|name| !name.is_empty()),
                start: None,
            }
        }
    }

    /// The metadata says where the locals of a `ScopeInfo` are, and the names and positions lie behind them
    /// (`src/objects/scope-info.tq`): a name and its index, an inferred name, two positions, each of them only if there is
    /// one. Since V8 12.8 the positions lie before the locals, which then begin two slots later.
    fn scope_info(&mut self, scope: Object) -> Option<Scope> {
        let layout = self.layout.function;
        let slot = |index: usize| scope.address + 8 + index as u64 * 8;
        let locals = smi(self.memory.word(slot(layout.local_count)).ok()?)?;
        let locals = usize::try_from(locals)
            .ok()
            .filter(|&locals| locals < MAX_LOCALS)?;
        let names = if locals < MAX_INLINED_LOCALS { locals } else { 1 };
        let words: [u64; SLOTS] = self
            .memory
            .words(slot(layout.first_local + names + locals))
            .ok()?;
        let mut found = Scope::default();
        let mut numbers = Vec::new();
        for word in words {
            if let Some(number) = smi(word) {
                numbers.push(number);
                continue;
            }
            if numbers.len() >= 2 {
                break;
            }
            let Some(object) = self.object(word) else { break };
            if object.instance_type == self.layout.types.scope_info {
                break;
            }
            numbers.clear();
            let text = self.text(object).filter(|text| !text.is_empty());
            found.name = found.name.or(text);
        }
        let start = if layout.first_local >= 5 {
            smi(self.memory.word(slot(layout.first_local - 2)).ok()?)
        } else {
            numbers
                .len()
                .checked_sub(2)
                .map(|from| (numbers[from], numbers[from + 1]))
                .filter(|(start, end)| start <= end)
                .map(|(start, _)| start)
        };
        found.start = start.and_then(|start| u32::try_from(start).ok());
        Some(found)
    }
}
