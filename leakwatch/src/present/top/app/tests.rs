//! What each key changes.

use std::sync::Arc;

use ratatui::layout::Size;

use super::{App, Overlay, Tab};
use crate::model::snapshot::Snapshot;
use crate::present::{
    fields::FieldId,
    rows::RowSelection,
    sample,
    sort::Sort,
    top::{
        Theme, TopOptions,
        action::{Action, Effect, Motion},
    },
};

/// Several processes have one state, but hardly two the same growth.
fn by_growth() -> RowSelection {
    RowSelection {
        sort: Sort {
            field: FieldId::Growth,
            invert: false,
        },
        ..RowSelection::default()
    }
}

fn app() -> App {
    let options = TopOptions {
        rows: by_growth(),
        fd_kinds_of_all: false,
        theme: Theme {
            color: false,
            ascii: false,
        },
    };
    let mut app = App::new(
        options,
        Size {
            width: 80,
            height: 10,
        },
    );
    app.take(Arc::new(sample::snapshot()));
    app
}

fn press(app: &mut App, actions: &[Action]) {
    for action in actions {
        assert_eq!(app.update(*action), Effect::None, "{action:?}");
    }
}

fn type_filter(app: &mut App, text: &str) {
    press(app, &[Action::OpenFilter]);
    for c in text.chars() {
        press(app, &[Action::Type(c)]);
    }
}

fn pids(app: &App) -> Vec<u32> {
    let snapshot = app.snapshot().expect("a snapshot is shown");
    app.rows
        .iter()
        .map(|row| snapshot.processes[row.index].id.pid)
        .collect()
}

fn at(app: &App) -> Option<u32> {
    app.process().map(|process| process.id.pid)
}

const DOWN: Action = Action::Move(Motion::Down);

/// The sample with the memory growth of one process changed, which sends it to another row.
fn grown(pid: u32, bytes_per_second: f64) -> Snapshot {
    let mut snapshot = sample::snapshot();
    let process = snapshot
        .processes
        .iter_mut()
        .find(|process| process.id.pid == pid);
    process
        .expect("the pid is in the sample")
        .growth
        .memory_bytes_per_second = Some(bytes_per_second);
    snapshot
}

#[test]
fn the_cursor_sticks_to_the_process_and_not_to_the_row() {
    let mut app = app();
    press(&mut app, &[DOWN, DOWN, DOWN]);
    assert_eq!((at(&app), pids(&app)[2]), (Some(813), 813));
    app.take(Arc::new(grown(813, 1e9)));
    assert_eq!((at(&app), pids(&app)[0]), (Some(813), 813));
    press(&mut app, &[Action::Invert]);
    assert_eq!(at(&app), Some(813));
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut app = app();
    press(
        &mut app,
        &[
            Action::Digit('8'),
            Action::Digit('1'),
            Action::Digit('3'),
            Action::Details,
        ],
    );
    assert!(app.details);
    let mut next = sample::snapshot();
    next.processes[2].id.start_time_ns += 1;
    app.take(Arc::new(next));
    assert!(
        !app.details,
        "details of the dead are not shown as those of the living"
    );
    assert_eq!(app.message.as_deref(), Some("process 813 has exited"));
}

#[test]
fn the_cursor_goes_to_the_neighbour_when_its_process_exits() {
    let mut app = app();
    press(&mut app, &[Action::Move(Motion::Down), Action::Move(Motion::End)]);
    assert_eq!(at(&app), Some(4900));
    let mut next = sample::snapshot();
    next.processes.pop();
    app.take(Arc::new(next));
    assert_eq!(at(&app), Some(4800));
    app.take(Arc::new(Snapshot {
        processes: Vec::new(),
        ..sample::snapshot()
    }));
    assert_eq!(at(&app), None);
    press(
        &mut app,
        &[
            DOWN,
            Action::Details,
            Action::Digit('1'),
            Action::JumpNext,
            Action::Follow,
        ],
    );
    assert!(!app.details);
}

#[test]
fn only_follow_scrolls_after_the_cursor() {
    for follow in [false, true] {
        let mut app = app();
        let mut many = sample::snapshot();
        many.processes
            .extend((5000..5100).map(|pid| sample::quiet(pid, 1, "many")));
        app.take(Arc::new(many.clone()));
        press(&mut app, &[DOWN]);
        if follow {
            press(&mut app, &[Action::Follow]);
        }
        let cursor = at(&app).expect("the first row");
        many.processes[3].growth.memory_bytes_per_second = Some(-1e9);
        app.take(Arc::new(many));
        assert_eq!(at(&app), Some(cursor));
        let visible = &pids(&app)[app.offset..app.offset + 6];
        assert_eq!(visible.contains(&cursor), follow);
    }
}

#[test]
fn pausing_keeps_the_picture_and_going_on_shows_the_newest() {
    let mut app = app();
    press(&mut app, &[Action::Pause]);
    let mut next = grown(812, 1e9);
    next.time_unix_ms += 1000;
    app.take(Arc::new(next));
    assert_eq!(pids(&app)[0], 4711);
    press(&mut app, &[Action::SortBy(FieldId::Pid)]);
    assert_eq!(pids(&app)[0], 1, "what is kept can still be sorted");
    press(&mut app, &[Action::SortBy(FieldId::Growth), Action::Pause]);
    assert_eq!(pids(&app)[0], 812);
}

#[test]
fn a_filter_takes_effect_while_typed_and_escape_takes_it_back() {
    let mut app = app();
    type_filter(&mut app, "name=postgres");
    assert_eq!(pids(&app), [812]);
    press(&mut app, &[Action::Type(' '), Action::Type('!'), Action::Accept]);
    assert!(
        matches!(app.overlay, Overlay::Filter(_)),
        "a filter with an error is not accepted"
    );
    assert_eq!(pids(&app), [812], "and the last good one stays");
    press(&mut app, &[Action::EraseWord, Action::Accept]);
    assert_eq!((app.overlay.clone(), pids(&app)), (Overlay::None, vec![812]));
    type_filter(&mut app, " nothing");
    assert!(app.rows.is_empty());
    press(&mut app, &[Action::Back]);
    assert_eq!(pids(&app), [812], "back to the filter before");
    press(&mut app, &[Action::Back]);
    assert_eq!(app.rows.len(), 6, "and then to none");
}

#[test]
fn sorting_by_keys_columns_and_menu() {
    let mut app = app();
    press(&mut app, &[Action::SortBy(FieldId::Fds)]);
    assert_eq!(pids(&app), [4711, 1, 812, 813, 4800, 4900]);
    press(&mut app, &[Action::Invert]);
    assert_eq!(pids(&app)[0], 4900);
    press(&mut app, &[Action::SortLeft]);
    assert_eq!(
        (app.selection.sort.field, app.selection.sort.invert),
        (FieldId::Growth, false)
    );
    press(&mut app, &[Action::SortRight, Action::SortRight]);
    assert_eq!(app.selection.sort.field, FieldId::FdGrowth);
    press(
        &mut app,
        &[Action::OpenSort, Action::Move(Motion::Home), Action::Accept],
    );
    assert_eq!((app.selection.sort.field, pids(&app)[0]), (FieldId::Pid, 1));
    press(&mut app, &[Action::SortLeft, Action::SortLeft]);
    assert_eq!(
        app.selection.sort.field,
        FieldId::Pid,
        "there is no column further left"
    );
}

#[test]
fn digits_go_to_a_pid_and_n_to_the_next() {
    let mut app = app();
    press(&mut app, &[Action::Digit('4')]);
    assert_eq!(at(&app), Some(4711));
    press(&mut app, &[Action::JumpNext]);
    assert_eq!(at(&app), Some(4800));
    press(&mut app, &[Action::JumpNext, Action::JumpNext]);
    assert_eq!(at(&app), Some(4711), "round the end");
    press(&mut app, &[Action::JumpPrevious]);
    assert_eq!(at(&app), Some(4900));
    press(&mut app, &[Action::Digit('8'), Action::Digit('1')]);
    assert_eq!(at(&app), Some(813), "digits after another key begin anew");
    press(&mut app, &[Action::Digit('7')]);
    assert_eq!(at(&app), Some(813));
    assert_eq!(
        app.message.as_deref(),
        Some("no process shown has a pid that begins with 817")
    );
    press(&mut app, &[DOWN, Action::Digit('1')]);
    assert_eq!(at(&app), Some(1), "the whole pid goes before its beginning");
}

#[test]
fn details_say_what_has_to_be_read() {
    let mut app = app();
    assert!(app.interest().is_empty());
    press(&mut app, &[Action::Details]);
    assert!(app.interest().wants_fd_kinds(4711) && !app.interest().wants_fd_kinds(1));
    press(&mut app, &[DOWN]);
    assert!(app.interest().wants_fd_kinds(1) && !app.interest().wants_fd_kinds(4711));
    press(&mut app, &[Action::Back]);
    assert!(app.interest().is_empty());
}

#[test]
fn processes_asked_for_by_pid_are_read_by_kind() {
    let options = TopOptions {
        rows: RowSelection {
            pids: [812].into(),
            ..RowSelection::default()
        },
        fd_kinds_of_all: false,
        theme: Theme {
            color: false,
            ascii: false,
        },
    };
    let app = App::new(
        options,
        Size {
            width: 80,
            height: 24,
        },
    );
    assert!(app.interest().wants_fd_kinds(812) && !app.interest().wants_fd_kinds(1));
}

#[test]
fn trees_fold() {
    let mut app = app();
    press(&mut app, &[Action::SortBy(FieldId::Pid), Action::Tree]);
    assert_eq!(pids(&app), [1, 812, 813, 4711, 4800, 4900]);
    press(&mut app, &[Action::Digit('4'), Action::Collapse]);
    assert_eq!(pids(&app), [1, 812, 813, 4711]);
    press(&mut app, &[Action::Expand]);
    assert_eq!(app.rows.len(), 6);
    press(&mut app, &[Action::ToggleAll]);
    assert_eq!((pids(&app), at(&app)), (vec![1], Some(1)));
    press(&mut app, &[Action::ToggleAll]);
    assert_eq!(app.rows.len(), 6);
}

#[test]
fn escape_goes_back_one_level_at_a_time() {
    let mut app = app();
    type_filter(&mut app, "pay");
    press(
        &mut app,
        &[Action::Accept, Action::Details, Action::NextTab, Action::Help],
    );
    press(&mut app, &[Action::Back]);
    assert_eq!((&app.overlay, app.tab), (&Overlay::None, Tab::Health));
    press(&mut app, &[Action::Back]);
    assert!(app.tab == Tab::Processes && app.details);
    press(&mut app, &[Action::Back]);
    assert!(!app.details && !app.selection.filter.is_empty());
    press(&mut app, &[Action::Back]);
    assert!(app.selection.filter.is_empty() && app.cursor.is_some());
    press(&mut app, &[Action::Back]);
    assert_eq!(app.cursor, None);
}

#[test]
fn what_needs_the_world_is_asked_of_it() {
    let mut app = app();
    assert_eq!(
        app.update(Action::Save),
        Effect::Save(Arc::new(sample::snapshot()))
    );
    assert_eq!(app.update(Action::Quit), Effect::Quit);
    assert_eq!(app.update(Action::Suspend), Effect::Suspend);
}

#[test]
fn moving_stays_on_the_rows_and_in_view() {
    let mut app = app();
    let mut many = sample::snapshot();
    many.processes
        .extend((5000..5100).map(|pid| sample::quiet(pid, 1, "many")));
    app.take(Arc::new(many));
    let motions = [
        Motion::End,
        Motion::Down,
        Motion::PageUp,
        Motion::HalfUp,
        Motion::Up,
        Motion::HalfDown,
        Motion::PageDown,
        Motion::Home,
        Motion::Up,
        Motion::PageDown,
    ];
    for motion in motions {
        press(&mut app, &[Action::Move(motion)]);
        let row = pids(&app)
            .iter()
            .position(|pid| Some(*pid) == at(&app))
            .expect("the cursor is on a row");
        assert!(
            (app.offset..app.offset + 6).contains(&row),
            "{motion:?}: row {row}, offset {}",
            app.offset
        );
    }
    assert_eq!(app.offset, 1, "a page down from the first row of six");
}

#[test]
fn the_cursor_stays_in_view_when_the_screen_shrinks_and_the_table_where_it_was() {
    let mut app = app();
    let mut many = sample::snapshot();
    many.processes
        .extend((5000..5100).map(|pid| sample::quiet(pid, 1, "many")));
    app.take(Arc::new(many));
    app.resize(Size {
        width: 80,
        height: 24,
    });
    press(&mut app, &[DOWN, Action::Move(Motion::PageDown)]);
    assert_eq!((app.cursor_row, app.offset), (20, 1));
    press(&mut app, &[Action::Details, Action::Back]);
    assert_eq!(app.offset, 1, "details over the table do not scroll it");
    app.resize(Size {
        width: 80,
        height: 10,
    });
    assert_eq!(app.offset, 15);
}
