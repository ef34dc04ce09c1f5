//! A sampling heap profile of V8's, as rows of a census: what was made since sampling began and is still held, by function.
//!
//! `HeapProfiler.SamplingHeapProfile` of the protocol is a tree of calls, outermost first; each node has the bytes that its
//! own samples stand for. A function that V8 inlined into another is counted for that one: V8 takes only whole frames.

use std::collections::HashMap;

use serde::Deserialize;

use super::{call_frame::CallFrame, weight::Weights};
use crate::{
    attach::Refused,
    model::census::{CensusRow, Counted, Heap, MAX_ROWS},
};

/// Deepest nesting: V8 takes 128 frames (`V8HeapProfilerAgentImpl::startSampling`), each is an object in an array, and there
/// are some around them.
const MAX_NESTING: usize = 300;

#[derive(Deserialize)]
struct Answer {
    profile: Profile,
}

#[derive(Deserialize)]
struct Profile {
    head: Node,
    #[serde(default)]
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    call_frame: CallFrame,
    self_size: f64,
    id: u64,
    children: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    size: f64,
    node_id: u64,
}

/// The answer of `Runtime.getHeapUsage`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeapUsage {
    used_size: f64,
    total_size: f64,
}

/// A node of the tree, and the index of who calls it.
struct Call<'a> {
    node: &'a Node,
    caller: Option<usize>,
}

#[derive(Default)]
struct Site {
    count: u64,
    bytes: u64,
    /// Bytes of the call that made most, and its index.
    largest: (u64, usize),
}

/// Those that hold most.
pub(super) fn rows(answer: &str) -> Result<Vec<CensusRow>, Refused> {
    let profile = read(answer)?;
    let calls = calls(&profile.head);
    let objects = objects(&profile.samples);
    let mut sites: HashMap<String, Site> = HashMap::new();
    for (index, Call { node, .. }) in calls.iter().enumerate() {
        let bytes = rounded(node.self_size);
        if bytes == 0 {
            continue;
        }
        let site = sites.entry(telling(&calls, index).text()).or_default();
        site.count = site
            .count
            .saturating_add(objects.get(&node.id).copied().unwrap_or(0));
        site.bytes = site.bytes.saturating_add(bytes);
        site.largest = site.largest.max((bytes, index));
    }
    let mut sites: Vec<(String, Site)> = sites.into_iter().collect();
    sites.sort_by(|(a_name, a), (b_name, b)| b.bytes.cmp(&a.bytes).then_with(|| a_name.cmp(b_name)));
    sites.truncate(MAX_ROWS);
    let rows = sites.into_iter().map(|(name, site)| CensusRow {
        frames: stack(&calls, site.largest.1).map(CallFrame::row).collect(),
        ..CensusRow::of(Counted::AllocationSite, name, site.count, Some(site.bytes))
    });
    Ok(rows.collect())
}

/// What the heap is, after a collection.
pub(super) fn heap(answer: &str) -> Result<Heap, Refused> {
    let usage: HeapUsage =
        serde_json::from_str(answer).map_err(|_| Refused::Answer("it does not say how large its heap is"))?;
    Ok(Heap {
        committed: Some(rounded(usage.total_size)),
        live: Some(rounded(usage.used_size)),
        ..Heap::default()
    })
}

fn read(answer: &str) -> Result<Profile, Refused> {
    if nesting(answer) > MAX_NESTING {
        return Err(Refused::Answer("its profile is nested deeper than V8 nests any"));
    }
    let mut reader = serde_json::Deserializer::from_str(answer);
    // The limit of serde_json itself is below that of V8.
    reader.disable_recursion_limit();
    let answer = Answer::deserialize(&mut reader);
    Ok(answer.map_err(|_| Refused::Answer("it is no profile"))?.profile)
}

/// How deep arrays and objects are nested.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut is_text = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_text = !is_text,
            b'\\' if is_text => {
                bytes.next();
            }
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The tree as a list, callers first.
fn calls(head: &Node) -> Vec<Call<'_>> {
    let mut calls = vec![Call {
        node: head,
        caller: None,
    }];
    let mut at = 0;
    while let Some(&Call { node, .. }) = calls.get(at) {
        calls.extend(node.children.iter().map(|node| Call {
            node,
            caller: Some(at),
        }));
        at += 1;
    }
    calls
}

/// Objects that the samples stand for, by node.
fn objects(samples: &[Sample]) -> HashMap<u64, u64> {
    let mut objects: HashMap<u64, u64> = HashMap::new();
    let mut weights = Weights::default();
    for sample in samples {
        let count = objects.entry(sample.node_id).or_default();
        *count = count.saturating_add(weights.objects(rounded(sample.size)));
    }
    objects
}

/// Functions from this one outwards, the root of the tree not among them.
fn stack<'a>(calls: &'a [Call<'a>], index: usize) -> impl Iterator<Item = &'a CallFrame> {
    let outwards = std::iter::successors(calls.get(index), |call| calls.get(call.caller?));
    outwards
        .filter(|call| call.caller.is_some())
        .map(|call| &call.node.call_frame)
}

/// The innermost function of the program's own or of a library, else the innermost one.
fn telling<'a>(calls: &'a [Call<'a>], index: usize) -> &'a CallFrame {
    let innermost = &calls[index].node.call_frame;
    stack(calls, index)
        .find(|frame| frame.is_own())
        .unwrap_or(innermost)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and no sum of bytes is negative"
)]
fn rounded(bytes: f64) -> u64 {
    bytes.round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::rows;
    use crate::attach::Refused;

    fn node(id: u64, name: &str, place: (&str, i64), size: u64, children: &[Value]) -> Value {
        json!({
            "callFrame": {
                "functionName": name, "scriptId": "1", "url": place.0, "lineNumber": place.1, "columnNumber": 2,
            },
            "selfSize": size, "id": id, "children": children,
        })
    }

    fn profile(head: &Value, samples: &[(u64, u64)]) -> String {
        let sample = |(number, &(size, node)): (usize, &(u64, u64))| json!({ "size": size, "nodeId": node, "ordinal": number });
        let samples: Vec<Value> = samples.iter().enumerate().map(sample).collect();
        json!({ "profile": { "head": head, "samples": samples } }).to_string()
    }

    #[test]
    fn what_is_held_by_the_functions_of_the_program() {
        let login = ("file:///srv/shop.mjs", 15);
        let add = node(5, "add", ("node:events", 400), 20_216, &[]);
        let set = node(6, "set", ("", -1), 458_792, &[]);
        let login = node(4, "login", login, 20_184, &[add, set]);
        let timer = node(3, "listOnTimeout", ("node:internal/timers", 519), 20_192, &[]);
        let anonymous = node(2, "", ("/srv/shop.js", 24), 0, &[login]);
        let head = node(
            1,
            "(root)",
            ("", -1),
            0,
            &[anonymous, timer, node(7, "(V8 API)", ("", -1), 7, &[])],
        );
        let samples = [(20_184, 4), (20_216, 5), (458_792, 6), (20_192, 3), (20_192, 99)];
        let rows = rows(&profile(&head, &samples)).unwrap();
        let said: Vec<_> = rows
            .iter()
            .map(|row| (&*row.name, row.count, row.bytes))
            .collect();
        assert_eq!(
            said,
            [
                ("login() (/srv/shop.mjs:16)", 841 + 361 + 1, Some(499_192)),
                ("listOnTimeout() (node:internal/timers:520)", 631, Some(20_192)),
                ("(V8 API)", 0, Some(7)),
            ]
        );
        let frames: Vec<_> = rows[0]
            .frames
            .iter()
            .map(|frame| (frame.function.as_deref().unwrap(), frame.line))
            .collect();
        assert_eq!(
            frames,
            [("set", None), ("login", Some(16)), ("(anonymous)", Some(25))]
        );
        assert_eq!(rows[0].frames[1].module, "[node]");
    }

    #[test]
    fn hostile_names_are_shown_and_not_obeyed() {
        let head = node(
            1,
            "\x1b[2J\n\u{202e}",
            (&"\x07".repeat(100_000), i64::MAX),
            7,
            &[],
        );
        let rows = rows(&profile(&head, &[])).unwrap();
        assert!(
            rows[0]
                .name
                .starts_with("\u{fffd}[2J\u{fffd}\u{fffd}() (\u{fffd}")
        );
        assert!(rows[0].name.chars().count() < 300);
        assert!(!rows[0].name.chars().any(char::is_control));
    }

    #[test]
    fn as_deep_as_v8_goes_and_no_deeper() {
        let deep = |depth: u64| {
            let innermost = node(0, "innermost", ("a.js", 0), 7, &[]);
            let head = (1..depth).fold(innermost, |inner, id| node(id, "f", ("a.js", 1), 0, &[inner]));
            profile(&head, &[])
        };
        let rows_of_deep = rows(&deep(130)).unwrap();
        assert_eq!(rows_of_deep[0].frames.len(), 129);
        assert!(matches!(rows(&deep(200)), Err(Refused::Answer(_))));
        for bytes in ["[", "{\"profile\":"] {
            assert!(rows(&bytes.repeat(1 << 20)).is_err());
        }
    }

    #[test]
    fn what_is_no_profile_is_no_answer() {
        let head = node(1, "f", ("a.js", 1), 7, &[]);
        let whole = profile(&head, &[(20_184, 1)]);
        for length in 0..whole.len() {
            assert!(rows(&whole[..length]).is_err());
        }
        let huge = whole.replace("\"selfSize\":7", "\"selfSize\":1e300");
        assert_eq!(rows(&huge).unwrap()[0].bytes, Some(u64::MAX));
        let negative = whole.replace("\"selfSize\":7", "\"selfSize\":-7");
        assert!(rows(&negative).unwrap().is_empty());
    }
}
