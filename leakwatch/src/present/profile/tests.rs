//! What is written is known, and what is written is read back.

use std::io::Read as _;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Profile, ReadError, Resource, diff::Diff, folded, is_settled, label, pprof, read, svg};
use crate::model::snapshot::Snapshot;
use crate::present::sample;

const SECOND: u64 = 1_000_000_000;

fn of(snapshot: &Snapshot, resource: Resource) -> Profile {
    Profile::of(snapshot, &[4711].into(), resource, 30 * SECOND)
}

fn payments(resource: Resource) -> Profile {
    of(&sample::snapshot(), resource)
}

/// The same service restarted: another pid, a pool that leaks more, a log that was repaired.
fn later() -> Profile {
    let mut snapshot = sample::snapshot();
    let process = snapshot
        .processes
        .iter_mut()
        .find(|process| process.id.pid == 4711);
    let process = process.expect("the sample has it");
    process.id.pid = 5000;
    process.sites[0].live = Some(900);
    process.sites[2].live = Some(20);
    process.sites.remove(1);
    Profile::of(&snapshot, &[5000].into(), Resource::Fd, 0)
}

/// Without what the format does not carry.
fn without_reasons(mut profile: Profile) -> Profile {
    for frame in profile.samples.iter_mut().flat_map(|sample| &mut sample.frames) {
        frame.reason = None;
    }
    profile.exe = None;
    profile
}

#[test]
fn folded_stacks_are_one_line_each() {
    let all: String = Resource::ALL
        .map(|resource| folded::write(&payments(resource)))
        .concat();
    insta::assert_snapshot!("folded", all);
}

#[test]
fn folded_stacks_read_back() {
    for resource in Resource::ALL {
        let text = folded::write(&payments(resource));
        let profile = read(text.as_bytes()).expect("it was just written");
        assert_eq!(profile.resource, resource);
        assert_eq!(profile.live(), payments(resource).live());
        assert_eq!(folded::write(&profile), text);
    }
}

#[test]
fn pprof_reads_back() {
    for resource in Resource::ALL {
        let profile = payments(resource);
        let bytes = pprof::write(&profile);
        assert_eq!(bytes, pprof::write(&profile), "the same profile is the same file");
        let read = read(&bytes).expect("it was just written");
        assert_eq!(read, without_reasons(profile));
    }
}

/// The drawing: what looks and moves does not depend on the profile.
fn drawing(svg: &str) -> String {
    let (head, rest) = svg.split_once("<style>").expect("it has style");
    let (_, rest) = rest.split_once("</style>").expect("it has style");
    let (frames, _) = rest.split_once("<script>").expect("it has a script");
    format!("{head}{frames}")
}

#[test]
fn flame_graphs() {
    insta::assert_snapshot!("svg", drawing(&svg::of_profile(&payments(Resource::Fd))));
    let diff = Diff::between(&payments(Resource::Fd), &later()).expect("both count descriptors");
    insta::assert_snapshot!("svg_diff", drawing(&svg::of_diff(&diff)));
}

#[test]
fn a_flame_graph_of_nothing_says_so() {
    let nothing = Profile {
        samples: Vec::new(),
        ..payments(Resource::Fd)
    };
    assert!(svg::of_profile(&nothing).contains("nothing is held"));
    assert_eq!(folded::write(&nothing), "");
    assert_eq!(
        read(&pprof::write(&nothing)).expect("it was just written"),
        without_reasons(nothing)
    );
}

#[test]
fn what_grew_stands_first_whatever_the_pid() {
    let diff = Diff::between(&payments(Resource::Fd), &later()).expect("both count descriptors");
    let mut table = Vec::new();
    diff.write_table(&mut table).expect("a vector takes writes");
    insta::assert_snapshot!("diff_table", String::from_utf8(table).expect("it is text"));
    let same = Diff::between(&later(), &later()).expect("both count descriptors");
    assert!(same.by_function().is_empty());
    let error = Diff::between(&later(), &payments(Resource::Thread)).expect_err("they differ");
    assert_eq!(error.to_string(), "one counts fd, the other thread");
}

#[test]
fn a_diff_of_folded_stacks_names_no_internal_function() {
    let folded = |profile| read(folded::write(&profile).as_bytes()).expect("it was just written");
    let diff = Diff::between(&folded(payments(Resource::Fd)), &later()).expect("both count descriptors");
    let functions: Vec<_> = diff
        .by_function()
        .into_iter()
        .map(|change| change.function)
        .collect();
    assert_eq!(functions, ["HttpPool::connect", "Log::reopen"]);
}

#[test]
fn folded_stacks_and_pprof_compare_whatever_the_names() {
    let profile = named("a;b\u{1b}c");
    let read = |bytes: &[u8]| read(bytes).expect("it was just written");
    let folded = read(folded::write(&profile).as_bytes());
    let pprof = read(&pprof::write(&profile));
    let diff = Diff::between(&folded, &pprof).expect("both count descriptors");
    assert!(diff.by_function().is_empty(), "{diff:?}");
}

#[test]
fn names_that_are_on_their_way_are_waited_for() {
    let mut process = sample::process(1, "p");
    assert!(is_settled(&process));
    process.sites[0].frames[0].function = None;
    assert!(!is_settled(&process));
}

#[test]
fn what_is_no_profile_is_refused_with_a_reason() {
    let gzip = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("a vector takes writes");
        encoder.finish().expect("a vector takes writes")
    };
    let folded = folded::write(&payments(Resource::Fd));
    let pprof = pprof::write(&payments(Resource::Fd));
    for (bytes, reason) in [
        (&b""[..], "it is empty"),
        (
            b"\x7fELF\x02\x01\xff\xfe",
            "it is neither text nor compressed by gzip",
        ),
        (
            b"{\"schema_version\": 1}\n",
            "these are no folded stacks of leakwatch: the first line does not end in a whole number",
        ),
        (
            b"main;read 12\n",
            "these are no folded stacks of leakwatch: the first line does not begin with a process and its pid",
        ),
        (
            b"sh (1);main;read 12\n",
            "these are no folded stacks of leakwatch: the first line does not say below the process what kind of thing is held",
        ),
        (
            b"sh (1);[socket];f 1\nsh (1);[mapping];f 1\n",
            "it mixes resources",
        ),
        (
            &folded.as_bytes()[..folded.len() - 1],
            "it is damaged or cut off: its last line has no end",
        ),
        (
            &folded.as_bytes()[..40],
            "these are no folded stacks of leakwatch: the first line does not end in a whole number",
        ),
        (&pprof[..pprof.len() / 2], "it is damaged or cut off: gzip:"),
        (&pprof[..3], "it is damaged or cut off: gzip:"),
        (&gzip(b"hello"), "what gzip compressed there is no pprof profile"),
        (
            &gzip(b""),
            "it is a pprof profile, but not one that leakwatch wrote",
        ),
    ] {
        let error = read(bytes).expect_err(reason).to_string();
        assert!(error.starts_with(reason), "{error}\n{reason}");
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(65 << 20), &mut encoder).expect("a vector takes writes");
    let bomb = encoder.finish().expect("a vector takes writes");
    assert!(matches!(read(&bomb), Err(ReadError::Foreign(why)) if why.contains("64 MiB")));
}

/// A profile in which everything that somebody else names is named so.
fn named(name: &str) -> Profile {
    let mut snapshot = sample::snapshot();
    let process = &mut snapshot.processes[3];
    name.clone_into(&mut process.name);
    for site in &mut process.sites {
        site.function = Some(name.to_owned());
        for frame in &mut site.frames {
            frame.function = Some(name.to_owned());
            frame.file = Some(name.to_owned());
            name.clone_into(&mut frame.module);
        }
    }
    of(&snapshot, Resource::Fd)
}

fn hostile() -> impl Strategy<Value = String> {
    let nasty = "[;<>&\"'\\]\\)\\( \n\r\t\u{1b}\u{0}\u{9b}\u{202e}\u{fffe}\u{ffff}a-c日]{0,24}";
    proptest::prop_oneof![nasty, any::<String>()]
}

proptest! {
    #[test]
    fn hostile_names_break_no_format(name in hostile()) {
        let profile = named(&name);
        let text = folded::write(&profile);
        let acts = |c: char| c.is_control() || c == '\u{202e}';
        prop_assert!(!text.replace('\n', "").contains(acts), "{text:?}");
        let read_back = read(text.as_bytes()).expect("it was just written");
        prop_assert_eq!(folded::write(&read_back), text);

        let read_back = read(&pprof::write(&profile)).expect("it was just written");
        prop_assert_eq!(read_back.live(), profile.live());
        prop_assert!(!read_back.samples.iter().flat_map(|sample| &sample.frames).any(|frame| label(frame).contains(acts)));

        let later = Profile { samples: profile.samples[..1].into(), ..profile.clone() };
        let diff = Diff::between(&profile, &later).expect("both count descriptors");
        for svg in [svg::of_profile(&profile), svg::of_diff(&diff)] {
            assert_well_formed(&svg);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let _ = read(&bytes);
        let mut damaged = pprof::write(&payments(Resource::Fd));
        let at = at.index(damaged.len());
        damaged[at] = byte;
        let _ = read(&damaged);
    }
}

/// No name became markup: there are the elements that the drawing has, and one script.
fn assert_well_formed(svg: &str) {
    let document = roxmltree::Document::parse(svg).expect("it is XML");
    let elements = || document.descendants().filter(roxmltree::Node::is_element);
    for element in elements() {
        let name = element.tag_name().name();
        assert!(
            ["svg", "style", "rect", "text", "g", "title", "script"].contains(&name),
            "{name}"
        );
        assert!(
            element
                .attributes()
                .all(|attribute| !attribute.name().starts_with("on"))
        );
    }
    let count = |name| {
        elements()
            .filter(|element| element.tag_name().name() == name)
            .count()
    };
    assert_eq!((count("script"), count("style")), (1, 1));
    assert_eq!(count("title"), count("g") - 1);
}
