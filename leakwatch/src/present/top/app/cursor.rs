//! Where the cursor is, and what of the rows is in view.

use super::{App, Overlay, Tab};
use crate::model::identity::ProcessId;
use crate::present::{
    fields::FIELDS,
    top::{action::Motion, areas::Areas},
};

impl App {
    /// Scrolls no further than the rows go.
    pub(super) fn settle(&mut self) {
        let most = self.rows.len().saturating_sub(self.page());
        self.offset = self.offset.min(most);
    }

    /// Rows in view; behind details that hide the table, those that will be when they close.
    fn page(&self) -> usize {
        let table = self.areas().map(|areas| areas.table.unwrap_or(areas.body));
        table.map_or(1, |table| usize::from(table.height.saturating_sub(1)).max(1))
    }

    pub(super) fn id_at(&self, row: usize) -> Option<ProcessId> {
        let index = self.rows.get(row)?.index;
        Some(self.snapshot()?.processes.get(index)?.id)
    }

    pub(super) fn row_of(&self, id: ProcessId) -> Option<usize> {
        (0..self.rows.len()).find(|&row| self.id_at(row) == Some(id))
    }

    pub(super) fn put_cursor(&mut self, row: usize) {
        let row = row.min(self.rows.len().saturating_sub(1));
        let before = self.cursor;
        self.cursor = self.id_at(row);
        self.cursor_row = row;
        if self.cursor != before {
            self.scroll = 0;
        }
        if self.cursor.is_none() {
            self.details = false;
        }
    }

    /// Gives a screen that has no cursor one.
    pub(super) fn place_cursor(&mut self) {
        if self.cursor.is_none() {
            self.put_cursor(self.offset);
        }
    }

    pub(super) fn reveal(&mut self) {
        let first = (self.cursor_row + 1).saturating_sub(self.page());
        self.offset = self.offset.clamp(first, self.cursor_row.max(first));
    }

    pub(super) fn jump_digit(&mut self, digit: char) {
        if !self.jump.1 {
            self.jump = (String::new(), true);
        }
        self.jump.0.push(digit);
        let exact = self.jump.0.parse().ok();
        let found = (0..self.rows.len()).find(|&row| self.id_at(row).map(|id| id.pid) == exact);
        match found.or_else(|| (0..self.rows.len()).find(|&row| self.jump_hits(row))) {
            Some(row) => self.go_to(row),
            None => self.tell(format!(
                "no process shown has a pid that begins with {}",
                self.jump.0
            )),
        }
    }

    fn jump_hits(&self, row: usize) -> bool {
        self.id_at(row)
            .is_some_and(|id| id.pid.to_string().starts_with(&self.jump.0))
    }

    pub(super) fn jump(&mut self, step: isize) {
        let count = self.rows.len();
        if self.jump.0.is_empty() || count == 0 {
            self.tell("type the first digits of a pid, then n and N".to_owned());
            return;
        }
        let from = if self.cursor.is_some() { self.cursor_row } else { 0 };
        let all = (1..=count).map(|far| {
            if step > 0 {
                (from + far) % count
            } else {
                (from + count - far) % count
            }
        });
        let hits: Vec<usize> = all.filter(|&row| self.jump_hits(row)).take(1).collect();
        match hits.first() {
            Some(&row) => self.go_to(row),
            None => self.tell(format!(
                "no process shown has a pid that begins with {}",
                self.jump.0
            )),
        }
    }

    fn go_to(&mut self, row: usize) {
        self.tab = Tab::Processes;
        self.put_cursor(row);
        self.reveal();
    }

    pub(super) fn go(&mut self, motion: Motion) {
        let page = match (&self.overlay, self.areas()) {
            (
                Overlay::None,
                Some(Areas {
                    table: Some(_),
                    details: None,
                    ..
                }),
            ) => self.page(),
            (_, Some(areas)) => usize::from(areas.details.unwrap_or(areas.body).height.saturating_sub(2)),
            (_, None) => 1,
        };
        match &mut self.overlay {
            Overlay::Help(scroll) => *scroll = motion.from(*scroll, page, usize::MAX),
            Overlay::Sort(at) => *at = motion.from(*at, page, FIELDS.len() - 1),
            Overlay::Filter(_) => {}
            Overlay::None if self.tab == Tab::Health || (self.details && motion.is_by_page()) => {
                self.scroll = motion.from(self.scroll, page, usize::MAX);
            }
            Overlay::None if self.cursor.is_none() && !matches!(motion, Motion::Home | Motion::End) => {
                self.place_cursor();
            }
            Overlay::None => {
                let last = self.rows.len().saturating_sub(1);
                self.put_cursor(motion.from(self.cursor_row, page, last));
                self.reveal();
            }
        }
    }
}
