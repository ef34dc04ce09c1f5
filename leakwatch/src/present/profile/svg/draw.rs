//! The picture: boxes, words, colours.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use super::{Node, Resource, amount};
use crate::present::{markup::Escaped, text};

/// What a frame's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    /// Which binary its code is in.
    Modules,
    /// Whether it holds more or less than before.
    Change,
}

/// Pixels that the picture is wide until the script knows the window.
const WIDTH: f64 = 1200.0;
/// Pixels left free at each side.
const MARGIN: f64 = 12.0;
/// Pixels from one level to the next.
const ROW: usize = 19;
/// Pixels above the frames: title, subtitle, legend.
const HEAD: usize = 84;
/// Pixels below the frames.
const FOOT: usize = 16;
/// Pixels of a character; the font has the same for all.
const CHARACTER: f64 = 7.23;
/// Narrower frames, in pixels, are left out.
const NARROWEST: f64 = 0.3;
/// Modules that have a colour of their own.
const MODULE_COLORS: usize = 6;
/// Up to which part of the largest change the paler shades of growing and of shrinking go.
const SHADES: [f64; 3] = [0.25, 0.5, 0.75];

const STYLE: &str = include_str!("flame.css");
const SCRIPT: &str = include_str!("flame.js");

/// The whole document.
pub(super) fn draw(root: &Node, resource: Resource, subtitle: &str, colors: Colors) -> String {
    let mut picture = Picture {
        out: String::new(),
        resource,
        colors,
        modules: modules(root),
        largest_change: root.largest_change(),
        total: root.value,
        base: root.base,
    };
    picture.document(root, subtitle).expect("a string takes writes");
    picture.out
}

/// The modules with a colour, the one that holds most first.
fn modules(root: &Node) -> Vec<&str> {
    let mut sums = BTreeMap::new();
    root.by_module(&mut sums);
    let mut modules: Vec<(&str, u64)> = sums
        .into_iter()
        .filter(|(module, _)| !module.is_empty())
        .collect();
    modules.sort_by_key(|&(_, value)| std::cmp::Reverse(value));
    modules.truncate(MODULE_COLORS);
    modules.into_iter().map(|(module, _)| module).collect()
}

struct Picture<'a> {
    out: String,
    resource: Resource,
    colors: Colors,
    modules: Vec<&'a str>,
    largest_change: u64,
    total: u64,
    base: u64,
}

impl Picture<'_> {
    fn document(&mut self, root: &Node, subtitle: &str) -> fmt::Result {
        let height = HEAD + root.depth() * ROW + FOOT;
        let title = match self.colors {
            Colors::Modules => self.resource.title().to_owned(),
            Colors::Change => format!("change of {}", self.resource.title()),
        };
        write!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Flame graph\">\n\
             <style>\n{STYLE}</style>\n\
             <rect id=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"title\" x=\"{MARGIN}\" y=\"26\">leakwatch: {}</text>\n\
             <text class=\"quiet\" x=\"{MARGIN}\" y=\"46\">{}</text>\n\
             <text id=\"reset\" class=\"button\" x=\"1188\" y=\"26\" tabindex=\"0\" role=\"button\">show all (Esc)</text>\n\
             <text id=\"search\" class=\"button\" x=\"1188\" y=\"46\" tabindex=\"0\" role=\"button\">search (/)</text>\n",
            Escaped(&title),
            Escaped(subtitle),
        )?;
        self.legend()?;
        writeln!(self.out, "<g id=\"frames\">")?;
        if self.total == 0 {
            writeln!(
                self.out,
                "<text class=\"quiet\" x=\"{MARGIN}\" y=\"{}\">nothing is held</text>",
                HEAD + 14
            )?;
        } else {
            self.frame(root, 0, 0.0)?;
        }
        write!(
            self.out,
            "</g>\n<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>\n"
        )
    }

    fn legend(&mut self) -> fmt::Result {
        let mut x = MARGIN;
        match self.colors {
            Colors::Modules => {
                for (number, module) in self.modules.clone().into_iter().enumerate() {
                    self.box_of(&format!("m{number}"), &mut x)?;
                    self.word(module, &mut x)?;
                }
                self.box_of("other", &mut x)?;
                self.word("other", &mut x)
            }
            Colors::Change => {
                self.word("shrank", &mut x)?;
                for class in [
                    "less4", "less3", "less2", "less1", "same", "more1", "more2", "more3", "more4",
                ] {
                    self.box_of(class, &mut x)?;
                }
                self.word("grew; as wide as what is held now", &mut x)
            }
        }
    }

    fn box_of(&mut self, class: &str, x: &mut f64) -> fmt::Result {
        let at = std::mem::replace(x, *x + 16.0);
        write!(
            self.out,
            "<rect class=\"{class}\" x=\"{at:.1}\" y=\"58\" width=\"12\" height=\"12\" rx=\"2\"/>"
        )
    }

    fn word(&mut self, word: &str, x: &mut f64) -> fmt::Result {
        let word = text::printable(word);
        let word = text::truncated(&word, 36, '…');
        let at = std::mem::replace(x, *x + text::width(&word) as f64 * CHARACTER + 12.0);
        writeln!(
            self.out,
            "<text class=\"quiet\" x=\"{at:.1}\" y=\"68\">{}</text>",
            Escaped(&word)
        )
    }

    fn frame(&mut self, node: &Node, level: usize, left: f64) -> fmt::Result {
        let room = WIDTH - 2.0 * MARGIN;
        let wide = node.value as f64 / self.total as f64 * room;
        if wide < NARROWEST {
            return Ok(());
        }
        let y = HEAD + level * ROW;
        let x = MARGIN + left;
        write!(
            self.out,
            "<g class=\"frame\"><title>{}</title><rect class=\"{}\" x=\"{x:.2}\" y=\"{y}\" width=\"{wide:.2}\" height=\"{}\" rx=\"2\"/>",
            Escaped(&self.tooltip(node)),
            self.class(node),
            ROW - 1,
        )?;
        // The count of characters that fit is no negative number, and a small one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 165")]
        let fitting = ((wide - 6.0) / CHARACTER).max(0.0) as usize;
        let name = text::printable(&node.name);
        let shown = if fitting < 3 {
            "".into()
        } else {
            text::truncated(&name, fitting, '…')
        };
        writeln!(
            self.out,
            "<text x=\"{:.2}\" y=\"{}\">{}</text></g>",
            x + 4.0,
            y + 13,
            Escaped(&shown)
        )?;
        let mut left = left;
        for child in &node.children {
            self.frame(child, level + 1, left)?;
            left += child.value as f64 / self.total as f64 * room;
        }
        Ok(())
    }

    /// The name is its first line: the script takes it from there.
    fn tooltip(&self, node: &Node) -> String {
        let share = |value: u64, of: u64| value as f64 / of.max(1) as f64 * 100.0;
        let mut lines = vec![node.name.replace(['\n', '\r'], " ")];
        let held = amount(self.resource, node.value);
        lines.push(match self.colors {
            Colors::Modules => format!("{held} held, {:.1} %", share(node.value, self.total)),
            Colors::Change => {
                let sign = if node.value < node.base { '-' } else { '+' };
                let change = amount(self.resource, node.value.abs_diff(node.base));
                format!(
                    "{sign}{change}: {} ({:.1} %) before, {held} ({:.1} %) now",
                    amount(self.resource, node.base),
                    share(node.base, self.base),
                    share(node.value, self.total),
                )
            }
        });
        lines.extend(node.details.iter().cloned());
        lines.join("\n")
    }

    fn class(&self, node: &Node) -> String {
        match self.colors {
            Colors::Modules if node.module.is_empty() => "same".to_owned(),
            Colors::Modules => {
                let number = self.modules.iter().position(|module| *module == node.module);
                number.map_or_else(|| "other".to_owned(), |number| format!("m{number}"))
            }
            Colors::Change => {
                let change = node.value.abs_diff(node.base);
                if change == 0 {
                    return "same".to_owned();
                }
                // By the square root, so that what is a tenth of the largest change still shows.
                let part = (change as f64 / self.largest_change.max(1) as f64).sqrt();
                let shade = SHADES[..]
                    .iter()
                    .position(|most| part <= *most)
                    .unwrap_or(SHADES.len())
                    + 1;
                let way = if node.value > node.base { "more" } else { "less" };
                format!("{way}{shade}")
            }
        }
    }
}
