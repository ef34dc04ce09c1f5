//! Node, and whatever else has V8 in it: heap spaces from the headers of V8's pages, objects of the old generation by class
//! from a walk over those pages, and isolates, of which each worker thread has one.
//!
//! Recognised by V8's own metadata in the binary, and read with the offsets that it states; see [`crate::v8`].

mod classes;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod spaces;

use self::{
    classes::Classes,
    spaces::{Spaces, pages},
};
use super::{Runtime, binary::Binary, memory::Memory, target::Target, unknown};
use crate::{
    model::census::{Counter, RuntimeView},
    target_memory::TargetMemory,
    v8::{
        MARK,
        metadata::Layout,
        object::Objects,
        page::{Generation, PageLayout},
    },
};

const NAME: &str = crate::model::runtime::NODE;
/// `node::per_process::metadata`: the first thing in it is a `std::string`, the version of node.
const METADATA: &str = "_ZN4node11per_process8metadataE";
/// Longest version.
const MAX_VERSION: u64 = 32;
/// A walk that can say less than so many hundredths of the heap's bytes says so.
const COVERED: u64 = 90;

pub(super) struct Node;

impl Runtime for Node {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let binary = binary(target)?;
        let layout = match Layout::read(binary.elf()) {
            Ok(layout) => layout,
            Err(why) => return Some(unknown(NAME, version(&binary, memory), &why)),
        };
        let v8 = layout.version.as_ref().map(|version| format!("V8 {version}"));
        let version = version(&binary, memory).or_else(|| v8.clone());
        let Some(page_layout) = PageLayout::of(&layout) else {
            let v8 = v8.unwrap_or_else(|| "V8".to_owned());
            let why = super::Unknown::Version(v8);
            return Some(unknown(NAME, version, &why));
        };
        let pages = pages(target, page_layout, memory);
        let spaces = Spaces::of(&binary, &pages);
        if spaces.is_empty() {
            let why = super::Unknown::Layout("it has no heap pages");
            return Some(unknown(NAME, version, &why));
        }
        let mut view = RuntimeView {
            runtime: NAME.to_owned(),
            version,
            heap: spaces.heap(),
            rows: spaces.rows(),
            ..RuntimeView::default()
        };
        view.counters.push(Counter {
            name: "isolates".to_owned(),
            value: spaces.isolates(),
        });
        let mut classes = Classes::new(Objects::new(&layout, memory));
        for (address, page) in &pages {
            if page.generation == Generation::Old && spaces.is_walked(page) {
                classes.walk(*address, page);
            }
        }
        let covered = classes.covered_percent();
        view.unknown = (covered < COVERED).then(|| uncovered(covered));
        view.rows.extend(classes.rows());
        Some(view)
    }
}

fn uncovered(covered: u64) -> String {
    format!("{covered} % of the bytes of its old generation are in objects that can be told")
}

/// The mapped file with V8: the executable, or a library of that name.
fn binary(target: &Target) -> Option<Binary> {
    let has_v8 = |binary: &Binary| binary.symbol(MARK).is_some();
    target.executable().ok().filter(has_v8).or_else(|| {
        let library = target.mapped_file(|name| name.starts_with("libnode.so"))?;
        target.binary(library).ok().filter(has_v8)
    })
}

/// Node's own version.
fn version(binary: &Binary, memory: &mut Memory) -> Option<String> {
    let metadata = binary.symbol(METADATA)?;
    let [text, length] = memory.words(metadata.address).ok()?;
    let length = usize::try_from(Some(length).filter(|length| (1..=MAX_VERSION).contains(length))?).ok()?;
    let mut bytes = vec![0; length];
    TargetMemory::read(memory, text, &mut bytes).ok()?;
    let is_version = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    let is_sound = bytes.iter().all(is_version) && bytes[0].is_ascii_digit();
    String::from_utf8(bytes).ok().filter(|_| is_sound)
}
