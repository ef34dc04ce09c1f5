//! The screens, at the sizes people have.

use std::sync::Arc;

use ratatui::{Terminal, backend::TestBackend, layout::Size, style::Color};

use super::draw;
use crate::model::snapshot::{Snapshot, State};
use crate::present::{
    rows::RowSelection,
    sample,
    top::{
        Theme, TopOptions,
        action::{Action, Motion},
        app::App,
    },
};

const SIZES: [Size; 4] = [
    Size {
        width: 40,
        height: 10,
    },
    Size {
        width: 80,
        height: 24,
    },
    Size {
        width: 120,
        height: 30,
    },
    Size {
        width: 200,
        height: 50,
    },
];

/// A screen after three snapshots of a growing process and some keys.
fn app(theme: Theme, size: Size, last: &Snapshot, actions: &[Action]) -> App {
    let options = TopOptions {
        rows: RowSelection::default(),
        fd_kinds_of_all: false,
        theme,
    };
    let mut app = App::new(options, size);
    for (before, fds, mib) in [(2, 300, 400), (1, 340, 404)] {
        let mut earlier = last.clone();
        earlier.time_unix_ms -= before * 1000;
        for process in &mut earlier.processes {
            process.fds = fds;
            process.rss_anon_bytes = mib << 20;
        }
        app.take(Arc::new(earlier));
    }
    app.take(Arc::new(last.clone()));
    for action in actions {
        app.update(*action);
    }
    app
}

const PLAIN: Theme = Theme {
    color: false,
    ascii: false,
};

fn terminal(app: &App) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).expect("no I/O");
    terminal.draw(|frame| _ = draw(frame, app)).expect("no I/O");
    terminal
}

fn screen(app: &App) -> String {
    terminal(app).backend().to_string()
}

fn screens(name: &str, snapshot: &Snapshot, actions: &[Action]) {
    for size in SIZES {
        let app = app(PLAIN, size, snapshot, actions);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.width, size.height), screen(&app));
    }
}

#[test]
fn processes() {
    screens("processes", &sample::snapshot(), &[Action::Move(Motion::Down)]);
}

#[test]
fn details() {
    screens("details", &sample::snapshot(), &[Action::Details]);
}

/// The part of the details that is below the fold on most terminals, on a screen high enough for all of it.
#[test]
fn call_sites() {
    for width in [40, 80, 120, 200] {
        let size = Size { width, height: 120 };
        let app = app(PLAIN, size, &sample::snapshot(), &[Action::Details]);
        let screen = screen(&app);
        let sites: Vec<&str> = screen
            .lines()
            .skip_while(|line| !line.contains("Call sites,"))
            .take_while(|line| !line.trim_matches(['"', '│', ' ']).is_empty())
            .collect();
        insta::assert_snapshot!(format!("call_sites_{width}"), sites.join("\n"));
    }
}

#[test]
fn help() {
    screens("help", &sample::snapshot(), &[Action::Help]);
}

#[test]
fn paused() {
    screens("paused", &sample::snapshot(), &[Action::Pause]);
}

#[test]
fn health() {
    screens("health", &sample::snapshot(), &[Action::NextTab]);
}

#[test]
fn degraded() {
    screens("degraded", &sample::degraded(), &[]);
    screens("degraded_health", &sample::degraded(), &[Action::NextTab]);
}

#[test]
fn tree() {
    let app = app(
        PLAIN,
        SIZES[1],
        &sample::snapshot(),
        &[Action::Tree, Action::Digit('1'), Action::Tree, Action::Tree],
    );
    insta::assert_snapshot!("tree_80x24", screen(&app));
}

#[test]
fn sort_menu() {
    let app = app(PLAIN, SIZES[1], &sample::snapshot(), &[Action::OpenSort]);
    insta::assert_snapshot!("sort_menu_80x24", screen(&app));
}

#[test]
fn a_filter_with_an_error() {
    let mut app = app(PLAIN, SIZES[1], &sample::snapshot(), &[Action::OpenFilter]);
    for c in "shop speed>3".chars() {
        app.update(Action::Type(c));
    }
    insta::assert_snapshot!("filter_error_80x24", screen(&app));
}

#[test]
fn plain_ascii_has_nothing_else() {
    let ascii = Theme {
        color: false,
        ascii: true,
    };
    for actions in [
        &[][..],
        &[Action::Details],
        &[Action::Help],
        &[Action::NextTab],
        &[Action::OpenSort],
    ] {
        for snapshot in [sample::hostile(), sample::degraded()] {
            for size in SIZES {
                let screen = screen(&app(ascii, size, &snapshot, actions));
                assert!(screen.is_ascii(), "{actions:?}\n{screen}");
            }
        }
    }
}

#[test]
fn hostile_names_are_shown_and_not_obeyed() {
    let hostile = sample::hostile();
    for size in SIZES {
        let first = [
            Action::SortBy(crate::present::fields::FieldId::Pid),
            Action::Details,
        ];
        let mut app = app(PLAIN, size, &hostile, &first);
        for _ in 0..hostile.processes.len() {
            let screen = screen(&app);
            assert!(!screen.replace('\n', "").contains(char::is_control), "{screen}");
            assert!(!screen.contains('\u{202e}'), "{screen}");
            app.update(Action::Move(Motion::Down));
        }
    }
    let app = app(PLAIN, SIZES[1], &hostile, &[]);
    insta::assert_snapshot!("hostile_80x24", screen(&app));
}

#[test]
fn no_colour_without_leave() {
    for (theme, wanted) in [
        (PLAIN, false),
        (
            Theme {
                color: true,
                ascii: false,
            },
            true,
        ),
    ] {
        let terminal = terminal(&app(theme, SIZES[1], &sample::degraded(), &[]));
        let cells = &terminal.backend().buffer().content;
        let coloured = cells
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, wanted);
        let sixteen = |color: Color| !matches!(color, Color::Rgb(..) | Color::Indexed(_));
        assert!(cells.iter().all(|cell| sixteen(cell.fg) && sixteen(cell.bg)));
    }
}

#[test]
fn a_verdict_is_a_word_and_a_colour() {
    let theme = Theme {
        color: true,
        ascii: false,
    };
    for (state, word, color) in [
        (State::Leaking, "leaking", Color::Red),
        (State::Suspected, "suspected", Color::Yellow),
        (State::Recovered, "recovered", Color::Green),
    ] {
        let mut snapshot = sample::snapshot();
        snapshot.processes[3].state = state;
        let terminal = terminal(&app(theme, SIZES[1], &snapshot, &[]));
        let buffer = terminal.backend().buffer();
        let said = (0..buffer.area.height).any(|y| {
            let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
            line.contains("payments")
                && line.contains(word)
                && (0..buffer.area.width).any(|x| buffer[(x, y)].fg == color)
        });
        assert!(said, "{word}\n{}", terminal.backend());
    }
}

#[test]
fn every_size_draws_every_screen() {
    let snapshot = sample::degraded();
    for width in [1, 4, 5, 10, 11, 39, 40, 41, 63, 79, 100] {
        for height in [1, 2, 9, 10, 11, 30] {
            for action in [
                Action::Pause,
                Action::Details,
                Action::Help,
                Action::NextTab,
                Action::OpenSort,
                Action::OpenFilter,
            ] {
                let app = app(PLAIN, Size { width, height }, &snapshot, &[action]);
                let screen = screen(&app);
                let fits = width >= 40 && height >= 10;
                let said = [screen.contains("needs 40x10"), screen.contains("40x1")];
                assert_eq!(
                    said,
                    [!fits && width >= 11, !fits && width >= 5],
                    "{width}x{height}\n{screen}"
                );
            }
        }
    }
}

#[test]
fn before_the_first_snapshot() {
    let options = TopOptions {
        rows: RowSelection::default(),
        fd_kinds_of_all: false,
        theme: PLAIN,
    };
    for action in [
        Action::Pause,
        Action::Details,
        Action::NextTab,
        Action::Move(Motion::Down),
        Action::JumpNext,
    ] {
        let mut app = App::new(options.clone(), SIZES[0]);
        app.update(action);
        assert!(screen(&app).contains("waiting for the first readings"));
    }
}
