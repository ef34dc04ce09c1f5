//! How V8, the JavaScript engine of node, lays out its objects; read from outside while the program runs on.
//!
//! A binary with V8 carries its layout in it: `v8dbg_*` symbols, made from V8's sources when it was built
//! (`tools/gen-postmortem-metadata.py`). So offsets come from the binary at hand and none is guessed. A binary that lacks one
//! that is needed is not read. Every object is told by the instance type of its map before it is believed: objects move
//! while they are read.

pub(crate) mod class;
pub(crate) mod function;
pub(crate) mod inlined;
mod line;
pub(crate) mod metadata;
pub(crate) mod object;
pub(crate) mod page;
#[cfg(test)]
mod sample;
pub(crate) mod shape;
#[cfg(any(test, fuzzing))]
pub(crate) mod stated;
#[cfg(test)]
mod tests;
mod text;

/// Every binary with V8 and its metadata exports it.
pub(crate) const MARK: &str = "v8dbg_SmiTag";
