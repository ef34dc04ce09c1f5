//! What the screen shows and how each action changes it. Pure: no clock, no terminal, no file.

use std::sync::Arc;

use ratatui::layout::Size;

use super::{
    TopOptions,
    action::{Action, Effect},
    areas::{self, Areas},
    history::History,
    keys::Context,
    prompt::Prompt,
    theme::Theme,
};
use crate::model::{
    identity::ProcessId,
    interest::Interest,
    snapshot::{ProcessRow, Snapshot},
};
use crate::present::{
    columns,
    fields::FIELDS,
    rows::{Row, RowSelection},
    sort::Sort,
};

/// The screens that Tab goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// The processes.
    Processes,
    /// leakwatch itself.
    Health,
}

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// A filter being typed.
    Filter(Prompt),
    /// The fields to sort by; the index of the one to choose.
    Sort(usize),
    /// The keys, scrolled down by so many lines.
    Help(usize),
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    /// Which processes are shown, in which order.
    pub selection: RowSelection,
    /// The rows of the snapshot shown.
    pub rows: Vec<Row>,
    /// The process under the cursor. It is the process that is remembered and not the row: rows change places.
    pub cursor: Option<ProcessId>,
    /// Rows scrolled off the top.
    pub offset: usize,
    /// Lines scrolled off the top of the details or of the health screen.
    pub scroll: usize,
    /// The screen behind.
    pub tab: Tab,
    /// What lies over it.
    pub overlay: Overlay,
    /// Whether new snapshots wait.
    pub paused: bool,
    /// Whether the cursor stays in view when rows change places.
    pub follow: bool,
    /// Whether the details are open.
    pub details: bool,
    /// Digits of the pid to go to, and whether more may follow.
    pub jump: (String, bool),
    /// What happened last, until the next key.
    pub message: Option<String>,
    /// Readings for the sparklines.
    pub history: History,
    /// What the terminal can show.
    pub theme: Theme,
    /// Its size.
    pub size: Size,
    shown: Option<Arc<Snapshot>>,
    latest: Option<Arc<Snapshot>>,
    cursor_row: usize,
    wishes: Interest,
}

impl App {
    /// The screen before the first snapshot.
    pub fn new(options: TopOptions, size: Size) -> Self {
        let wishes = Interest {
            fd_kinds_of_all: options.fd_kinds_of_all,
            fd_kinds_of: options.rows.pids.clone(),
            ..Interest::default()
        };
        Self {
            selection: options.rows,
            rows: Vec::new(),
            cursor: None,
            offset: 0,
            scroll: 0,
            tab: Tab::Processes,
            overlay: Overlay::None,
            paused: false,
            follow: false,
            details: false,
            jump: (String::new(), false),
            message: None,
            history: History::default(),
            theme: options.theme,
            size,
            shown: None,
            latest: None,
            cursor_row: 0,
            wishes,
        }
    }

    /// The snapshot on the screen.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.shown.as_deref()
    }

    /// The process under the cursor.
    pub fn process(&self) -> Option<&ProcessRow> {
        let row = self.rows.get(self.cursor_row)?;
        let process = self.snapshot()?.processes.get(row.index)?;
        (Some(process.id) == self.cursor).then_some(process)
    }

    /// What has to be read for what is shown.
    pub fn interest(&self) -> Interest {
        let mut interest = self.wishes.clone();
        if self.details
            && let Some(id) = self.cursor
        {
            interest.fd_kinds_of.insert(id.pid);
        }
        interest
    }

    /// How the screen is divided; `None` when it is too small.
    pub fn areas(&self) -> Option<Areas> {
        areas::divide(self.size, self.details && self.tab == Tab::Processes)
    }

    /// What the keys act on.
    pub fn context(&self) -> Context {
        match self.overlay {
            Overlay::None => Context::Screen,
            Overlay::Filter(_) => Context::Prompt,
            Overlay::Sort(_) | Overlay::Help(_) => Context::Overlay,
        }
    }

    /// A new snapshot has come.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.history.record(&snapshot);
        self.latest = Some(snapshot);
        if !self.paused {
            self.show_latest();
        }
    }

    /// The terminal has a new size.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
        if self.cursor.is_some() {
            self.reveal();
        }
        self.settle();
    }

    /// Something outside has an outcome to tell.
    pub fn tell(&mut self, message: String) {
        self.message = Some(message);
    }

    /// There is no more to see below: `most` lines are as far as what is shown scrolls.
    pub fn limit_scroll(&mut self, most: usize) {
        match &mut self.overlay {
            Overlay::Help(scroll) => *scroll = (*scroll).min(most),
            Overlay::None | Overlay::Filter(_) | Overlay::Sort(_) => self.scroll = self.scroll.min(most),
        }
    }

    /// Does what a key means.
    pub fn update(&mut self, action: Action) -> Effect {
        self.message = None;
        if !matches!(action, Action::Digit(_)) {
            self.jump.1 = false;
        }
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Save => return self.shown.clone().map_or(Effect::None, Effect::Save),
            Action::Back => self.back(),
            Action::Help => self.overlay = Overlay::Help(0),
            Action::OpenFilter => self.overlay = Overlay::Filter(Prompt::new(&self.selection.filter)),
            Action::OpenSort => self.open_sort(),
            Action::Accept => self.accept(),
            Action::Type(_) | Action::Erase | Action::EraseWord | Action::EraseAll => self.edit(action),
            Action::Digit(digit) => self.jump_digit(digit),
            Action::JumpNext => self.jump(1),
            Action::JumpPrevious => self.jump(-1),
            Action::SortLeft => self.sort_by_neighbour(-1),
            Action::SortRight => self.sort_by_neighbour(1),
            Action::SortBy(field) => self.sort(Sort { field, invert: false }),
            Action::Invert => {
                let Sort { field, invert } = self.selection.sort;
                self.sort(Sort {
                    field,
                    invert: !invert,
                });
            }
            Action::Tree => {
                self.selection.tree = !self.selection.tree;
                self.arrange();
            }
            Action::Expand | Action::Collapse => self.fold(action == Action::Collapse),
            Action::ToggleAll => self.fold_all(),
            Action::Pause => {
                self.paused = !self.paused;
                if !self.paused {
                    self.show_latest();
                }
            }
            Action::Follow => {
                self.follow = !self.follow;
                self.place_cursor();
            }
            Action::Details => {
                self.tab = Tab::Processes;
                self.place_cursor();
                self.details = !self.details && self.cursor.is_some();
                self.scroll = 0;
                self.reveal();
            }
            Action::NextTab | Action::PreviousTab => {
                self.tab = match self.tab {
                    Tab::Processes => Tab::Health,
                    Tab::Health => Tab::Processes,
                };
                self.scroll = 0;
            }
            Action::Move(motion) => self.go(motion),
        }
        Effect::None
    }

    fn show_latest(&mut self) {
        self.shown.clone_from(&self.latest);
        let Some(snapshot) = self.shown.clone() else {
            return;
        };
        let alive = |id: &ProcessId| snapshot.processes.iter().any(|process| process.id == *id);
        self.selection.collapsed.retain(alive);
        if let Some(gone) = self.cursor.filter(|id| !alive(id)) {
            if self.details || self.follow {
                self.tell(format!("process {} has exited", gone.pid));
            }
            self.details = false;
        }
        self.arrange();
    }

    /// Rows anew, after the snapshot or the selection has changed.
    fn arrange(&mut self) {
        self.rows = match &self.shown {
            Some(snapshot) => self.selection.rows(snapshot),
            None => Vec::new(),
        };
        if let Some(id) = self.cursor {
            match self.row_of(id) {
                Some(row) => self.cursor_row = row,
                None => self.put_cursor(self.cursor_row),
            }
        }
        if self.follow {
            self.reveal();
        }
        self.settle();
    }

    fn back(&mut self) {
        match std::mem::replace(&mut self.overlay, Overlay::None) {
            Overlay::Filter(prompt) => {
                self.selection.filter = prompt.before;
                self.arrange();
            }
            Overlay::Sort(_) | Overlay::Help(_) => {}
            Overlay::None if self.tab != Tab::Processes => self.tab = Tab::Processes,
            Overlay::None if self.details => self.details = false,
            Overlay::None if !self.selection.filter.is_empty() => {
                self.selection.filter = crate::present::filter::Filter::default();
                self.arrange();
            }
            Overlay::None => {
                self.cursor = None;
                self.follow = false;
            }
        }
    }

    fn open_sort(&mut self) {
        let current = self.selection.sort.field;
        self.overlay = Overlay::Sort(FIELDS.iter().position(|field| field.id == current).unwrap_or(0));
    }

    fn accept(&mut self) {
        match &self.overlay {
            Overlay::Filter(prompt) if prompt.error.is_some() => {}
            Overlay::Sort(at) => {
                let field = FIELDS[*at].id;
                self.overlay = Overlay::None;
                self.sort(Sort { field, invert: false });
            }
            Overlay::None | Overlay::Filter(_) | Overlay::Help(_) => self.overlay = Overlay::None,
        }
    }

    fn edit(&mut self, action: Action) {
        let Overlay::Filter(prompt) = &mut self.overlay else {
            return;
        };
        if let Some(filter) = prompt.edit(action) {
            self.selection.filter = filter;
            self.arrange();
        }
    }

    fn sort(&mut self, sort: Sort) {
        self.selection.sort = sort;
        if !self.follow {
            self.offset = 0;
        }
        self.arrange();
    }

    fn sort_by_neighbour(&mut self, step: isize) {
        let (_, columns) = columns::fitting_with_sign(self.size.width);
        let current = self.selection.sort.field;
        let next = match columns.iter().position(|column| column.field.id == current) {
            Some(at) => at.saturating_add_signed(step).min(columns.len() - 1),
            None => 0,
        };
        let field = columns[next].field.id;
        if field != current {
            self.sort(Sort { field, invert: false });
        }
    }

    fn fold(&mut self, collapse: bool) {
        if let Some(id) = self.cursor.filter(|_| self.selection.tree) {
            if collapse {
                self.selection.collapsed.insert(id);
            } else {
                self.selection.collapsed.remove(&id);
            }
            self.arrange();
        }
    }

    fn fold_all(&mut self) {
        if !self.selection.tree {
            return;
        }
        if self.selection.collapsed.is_empty() {
            let parents = (0..self.rows.len()).filter(|&row| self.rows[row].parent);
            self.selection.collapsed = parents.filter_map(|row| self.id_at(row)).collect();
        } else {
            self.selection.collapsed.clear();
        }
        self.arrange();
    }
}

mod cursor;
#[cfg(test)]
mod tests;
