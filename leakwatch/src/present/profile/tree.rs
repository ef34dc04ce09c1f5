//! Stacks with a common beginning share it: what a flame graph draws.

use std::collections::BTreeMap;

/// A frame with everything above it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    /// More about it, for the tooltip; one line each.
    pub(super) details: Vec<String>,
    /// What decides on the colour of a frame: the binary that its code is in; empty where that means nothing.
    pub(super) module: String,
    /// Held now, of this frame and everything above it.
    pub(super) value: u64,
    /// Held before; in a flame graph of one profile it stays 0.
    pub(super) base: u64,
    pub(super) children: Vec<Node>,
}

/// One frame of a stack on its way into the tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) details: Vec<String>,
    pub(super) module: String,
}

impl Node {
    /// Adds a stack, outermost first.
    pub(super) fn add(&mut self, stack: &[Frame], value: u64, base: u64) {
        let mut node = self;
        node.count(value, base);
        for frame in stack {
            let known = node.children.iter().position(|child| child.name == frame.name);
            let at = known.unwrap_or_else(|| {
                node.children.push(Self {
                    name: frame.name.clone(),
                    details: frame.details.clone(),
                    module: frame.module.clone(),
                    ..Self::default()
                });
                node.children.len() - 1
            });
            node = &mut node.children[at];
            node.count(value, base);
        }
    }

    fn count(&mut self, value: u64, base: u64) {
        self.value += value;
        self.base += base;
    }

    /// In alphabetical order at every level, so that the same frames are found at the same place.
    pub(super) fn sort(&mut self) {
        self.children.sort_by(|a, b| a.name.cmp(&b.name));
        for child in &mut self.children {
            child.sort();
        }
    }

    /// Levels, this one included.
    pub(super) fn depth(&self) -> usize {
        1 + self.children.iter().map(Self::depth).max().unwrap_or(0)
    }

    /// The largest change below, in either direction; the sums on the way down say less.
    pub(super) fn largest_change(&self) -> u64 {
        let below = self.children.iter().map(Self::largest_change).max();
        below.unwrap_or(0).max(self.value.abs_diff(self.base))
    }

    /// How much goes through the frames of each module; a stack counts once for each frame there.
    pub(super) fn by_module<'a>(&'a self, sums: &mut BTreeMap<&'a str, u64>) {
        *sums.entry(&self.module).or_default() += self.value;
        for child in &self.children {
            child.by_module(sums);
        }
    }
}
