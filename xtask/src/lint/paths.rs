//! The paths that Rust source names, such as `std::fs::read` or `crate::model`, wherever they stand: in `use` trees, in
//! expressions, in the arguments of macros. What `#[cfg(test)]` guards is left out.
//!
//! It reads tokens and not a syntax tree, because what a macro is given has no syntax tree.

use std::str::FromStr as _;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path and where it starts.
#[derive(Debug, PartialEq)]
pub(super) struct NamedPath {
    /// Its segments; a macro's name ends in `!`.
    pub(super) segments: Vec<String>,
    /// Line in the file, from 1.
    pub(super) line: usize,
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) paths: Vec<NamedPath>,
    /// Modules declared as `#[cfg(test)] mod NAME;`: their files are test code.
    pub(super) test_modules: Vec<String>,
}

pub(super) fn read(text: &str) -> Result<Source> {
    let tokens = TokenStream::from_str(text)
        .map_err(|error| anyhow!("line {}: {error}", error.span().start().line))?;
    let mut source = Source::default();
    source.scan(tokens);
    Ok(source)
}

impl Source {
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_test_attribute(&tokens[at..]) {
                let item = &tokens[at + 2..];
                self.test_modules.extend(declared_module(item));
                at += 2 + length_of_item(item);
            } else if let TokenTree::Ident(_) = &tokens[at] {
                at += self.path(&tokens, at);
            } else {
                if let TokenTree::Group(group) = &tokens[at] {
                    self.scan(group.stream());
                }
                at += 1;
            }
        }
    }

    /// Reads the path that starts at `at`; how many tokens it has.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (mut segments, length) = segments(&tokens[at..]);
        let line = tokens[at].span().start().line;
        let rest = &tokens[at + length..];
        if is_double_colon(rest)
            && let Some(TokenTree::Group(group)) = rest.get(2)
            && group.delimiter() == Delimiter::Brace
        {
            self.use_tree(&segments, group);
            return length + 3;
        }
        let imported = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(word) if word == "use");
        let is_macro =
            matches!(rest, [TokenTree::Punct(bang), TokenTree::Group(_), ..] if bang.as_char() == '!');
        if is_macro && let Some(name) = segments.last_mut() {
            name.push('!');
        }
        if segments.len() > 1 || imported || is_macro {
            self.paths.push(NamedPath { segments, line });
        }
        length
    }

    /// Reads `{a, b::c, d::{e, f}}` below `prefix`.
    fn use_tree(&mut self, prefix: &[String], group: &Group) {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        for branch in tokens.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
        {
            let Some(first) = branch.first() else { continue };
            let (branch_segments, length) = segments(branch);
            let path = [prefix, branch_segments.as_slice()].concat();
            match branch.get(length + 2) {
                Some(TokenTree::Group(group)) => self.use_tree(&path, group),
                _ => self.paths.push(NamedPath {
                    segments: path,
                    line: first.span().start().line,
                }),
            }
        }
    }
}

/// The leading `a::b::c` of the tokens and how many tokens it has.
fn segments(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut segments = Vec::new();
    let mut length = 0;
    while let Some(TokenTree::Ident(name)) = tokens.get(length) {
        segments.push(name.to_string());
        length += 1;
        if !(is_double_colon(&tokens[length..])
            && matches!(tokens.get(length + 2), Some(TokenTree::Ident(_))))
        {
            break;
        }
        length += 2;
    }
    (segments, length)
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), TokenTree::Punct(second), ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':')
}

/// `#[cfg(test)]`, or `#[cfg(all(test, ...))]`.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = tokens else {
        return false;
    };
    let attribute: Vec<_> = attribute.stream().into_iter().collect();
    let [TokenTree::Ident(name), TokenTree::Group(condition)] = attribute.as_slice() else {
        return false;
    };
    hash.as_char() == '#' && name == "cfg" && requires_test(condition)
}

fn requires_test(condition: &Group) -> bool {
    let tokens: Vec<_> = condition.stream().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(all), TokenTree::Group(conditions)] if all == "all" => requires_test(conditions),
        tokens => tokens
            .split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
            .any(|condition| matches!(condition, [TokenTree::Ident(test)] if test == "test")),
    }
}

/// How many tokens the item has that starts here: up to its body or its semicolon.
fn length_of_item(tokens: &[TokenTree]) -> usize {
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    });
    end.map_or(tokens.len(), |end| end + 1)
}

/// The name in `mod NAME;`, with or without a visibility.
fn declared_module(item: &[TokenTree]) -> Option<String> {
    let at = item
        .iter()
        .position(|token| matches!(token, TokenTree::Ident(word) if word == "mod"))?;
    match item.get(at + 1..at + 3)? {
        [TokenTree::Ident(name), TokenTree::Punct(end)]
            if end.as_char() == ';' && at + 3 == length_of_item(item) =>
        {
            Some(name.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn paths(text: &str) -> Vec<String> {
        let source = read(text).expect("source is Rust");
        source
            .paths
            .iter()
            .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
            .collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        let text =
            "use std::{fs, time::{Duration, Instant as Now}};\nuse aya;\npub(crate) use crate::model::*;";
        assert_eq!(
            paths(text),
            [
                "1:std::fs",
                "1:std::time::Duration",
                "1:std::time::Instant",
                "2:aya",
                "3:crate::model"
            ]
        );
    }

    #[test]
    fn expressions_types_and_macro_arguments_count() {
        let text = "fn f(p: &std::path::Path) -> u32 {\n let x: super::Y<u8> = g(::libc::getpid());\n println!(\"{}\", std::fs::read(p)) }";
        assert_eq!(
            paths(text),
            [
                "1:std::path::Path",
                "2:super::Y",
                "2:libc::getpid",
                "3:println!",
                "3:std::fs::read"
            ]
        );
    }

    #[test]
    fn comments_and_strings_do_not() {
        assert_eq!(
            paths("//! `crate::kernel`\n/// std::fs\nconst A: &str = \"std::net::UdpSocket\";"),
            [""; 0]
        );
    }

    #[test]
    fn test_code_is_left_out() {
        let text = "#[cfg(test)]\nmod tests { use std::fs; }\n#[cfg(all(test, unix))]\nfn f() { std::process::abort() }\n\
                    #[cfg(not(test))]\nuse std::net;\n#[cfg(test)]\npub(crate) mod fixture;\nuse std::env;";
        let source = read(text).expect("source is Rust");
        assert_eq!(paths(text), ["6:std::net", "9:std::env"]);
        assert_eq!(source.test_modules, ["fixture"]);
    }
}
