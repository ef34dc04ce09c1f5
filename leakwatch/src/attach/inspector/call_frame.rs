//! A function in a call stack, as the protocol has it (`Runtime.CallFrame`).

use serde::Deserialize;

use crate::model::{sanitize, snapshot::FrameRow};

/// Longest name and path, characters.
const MAX_TEXT: usize = 256;
/// The module of functions that V8 compiles.
const MODULE: &str = "[node]";
const ANONYMOUS: &str = "(anonymous)";
/// Where node's own functions are.
const OF_NODE: &str = "node:";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallFrame {
    function_name: String,
    url: String,
    /// Where the function begins, counted from 0; -1 where there is no source.
    line_number: i64,
}

impl CallFrame {
    /// Whether it is a function of the program or of a library.
    pub(super) fn is_own(&self) -> bool {
        !self.url.is_empty() && !self.url.starts_with(OF_NODE)
    }

    /// As a frame of JavaScript in any stack.
    pub(super) fn row(&self) -> FrameRow {
        FrameRow {
            file: self.file(),
            line: self.line(),
            module: MODULE.to_owned(),
            ..FrameRow::named(self.function())
        }
    }

    /// As closures of it are called in a census.
    pub(super) fn text(&self) -> String {
        let function = self.function();
        match (self.file(), self.line()) {
            (Some(file), Some(line)) => format!("{function}() ({file}:{line})"),
            (Some(file), None) => format!("{function}() ({file})"),
            // What V8 does by itself: `(V8 API)`.
            (None, _) if function.starts_with('(') => function,
            (None, _) => format!("{function}()"),
        }
    }

    fn function(&self) -> String {
        if self.function_name.is_empty() {
            ANONYMOUS.to_owned()
        } else {
            shown(&self.function_name)
        }
    }

    fn file(&self) -> Option<String> {
        // Modules are named by their URL, other files by their path.
        let url = self.url.strip_prefix("file://").unwrap_or(&self.url);
        (!url.is_empty()).then(|| shown(url))
    }

    fn line(&self) -> Option<u32> {
        u32::try_from(self.line_number.checked_add(1)?)
            .ok()
            .filter(|&line| line > 0)
    }
}

fn shown(text: &str) -> String {
    let text: String = text.chars().take(MAX_TEXT).collect();
    sanitize::text(text.as_bytes())
}
