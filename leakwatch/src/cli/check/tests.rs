use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use clap::{Args, Command, FromArgMatches as _};

use super::{CheckArgs, FailOn, LEAK, OutputFormat, Target, UNOBSERVED, Verdict, code};
use crate::present::findings::sample;

fn parse(typed: &str) -> Result<CheckArgs, String> {
    let words = std::iter::once("check").chain(typed.split_whitespace());
    let matches = CheckArgs::augment_args(Command::new("check")).try_get_matches_from(words);
    matches
        .and_then(|matches| CheckArgs::from_arg_matches(&matches))
        .map_err(|error| error.to_string())
}

#[test]
fn the_command_is_well_formed_and_its_help_is_known() {
    let mut command = CheckArgs::augment_args(Command::new("check").term_width(100));
    command.clone().debug_assert();
    insta::assert_snapshot!("help", command.render_help());
}

#[test]
fn options_are_what_they_say() {
    let args = parse("-p 1,2 --pid 3 --fail-on suspected -d 90 -o junit").expect("the options are right");
    assert_eq!(args.pids, [1, 2, 3]);
    assert_eq!(
        (args.fail_on, args.output),
        (FailOn::Suspected, OutputFormat::Junit)
    );
    assert_eq!(args.time(), Some(Duration::from_secs(90)));
    let args = parse("-- make -p 1").expect("what follows is the command's");
    assert_eq!(args.command, ["make", "-p", "1"]);
    assert_eq!(args.time(), None, "it is watched until it ends");
    assert!(matches!(args.target(), Target::Tree(None)));
    let args = parse("").expect("nothing is the whole host");
    assert!(matches!(args.target(), Target::Host));
    assert_eq!(args.time(), Some(Duration::from_mins(1)));
    assert!(parse("-d 0").expect("at once").is_instant());
    assert!(parse("--webhook http://127.0.0.1:9/x --notify-on leaking,recovered").is_ok());
}

#[test]
fn what_cannot_be_is_refused() {
    for wrong in [
        "-p 1 -c 8f3a",
        "-c 8f3a --name x",
        "-p 1 -- make",
        "-d 0.5",
        "-d 500ms",
        "-d 9",
        "-o pdf",
        "--fail-on growing",
        "--webhook ftp://example.com/",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["-o json -- make", "-o junit -- make"] {
        let args = parse(wrong).expect("it is well formed");
        assert!(args.output().is_err(), "{wrong}");
    }
}

#[test]
fn a_leak_decides_then_the_command_then_whether_all_was_seen() {
    let status = |raw| Some(ExitStatus::from_raw(raw));
    let exited = |code: i32| status(code << 8);
    let (leak, nothing) = (sample::document(), {
        let mut document = sample::document();
        document.findings.clear();
        document
    });
    let of = |document, command| code(document, Verdict::Leaking, command);
    assert_eq!(of(&leak, None), LEAK);
    assert_eq!(of(&leak, exited(7)), LEAK);
    assert_eq!(of(&nothing, None), 0);
    assert_eq!(of(&nothing, exited(7)), 7);
    assert_eq!(of(&nothing, status(15)), 143, "SIGTERM");
    let unseen = sample::incomplete();
    assert_eq!(of(&unseen, None), UNOBSERVED);
    assert_eq!(of(&unseen, exited(0)), UNOBSERVED);
    assert_eq!(of(&unseen, exited(7)), 7);
}

#[test]
fn the_threshold_decides_what_a_leak_is() {
    let mut document = sample::document();
    document.findings[0].verdict = Verdict::Suspected;
    assert_eq!(code(&document, Verdict::Leaking, None), 0);
    assert_eq!(code(&document, Verdict::Suspected, None), LEAK);
}

#[test]
fn at_one_moment_only_limits_decide() {
    let mut document = sample::document();
    document.findings.clear();
    assert_eq!(
        code(&document, Verdict::Leaking, None),
        0,
        "processes were observed"
    );
    document.targets.clear();
    assert_eq!(code(&document, Verdict::Leaking, None), LEAK, "96 %");
    document.complete = false;
    assert_eq!(
        code(&document, Verdict::Leaking, None),
        UNOBSERVED,
        "nobody was observed"
    );
    document.complete = true;
    document.limits.remove(0);
    assert_eq!(code(&document, Verdict::Leaking, None), 0);
}
