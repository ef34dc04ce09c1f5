//! How the screen is divided.
//!
//! ```text
//! host  time  processes                     leakwatch
//! what leakwatch itself sees
//! PID   NAME ...                            process table, or what leakwatch is about (Tab)
//! 4711  payments ...
//! +-- details ----------------------------------------+
//! | instead of the table when the screen is low       |
//! +---------------------------------------------------+
//! keys, or a prompt
//! ```

use ratatui::layout::{Constraint, Layout, Rect, Size};

/// Below this nothing useful fits.
pub const SMALLEST: Size = Size {
    width: 40,
    height: 10,
};

/// A body this high shows table and details together.
const SHARED_BODY: u16 = 26;

/// Where everything goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Two lines.
    pub header: Rect,
    /// The process table with its head, unless the details need the room.
    pub table: Option<Rect>,
    /// The details, when open.
    pub details: Option<Rect>,
    /// Everything between header and footer.
    pub body: Rect,
    /// One line.
    pub footer: Rect,
}

/// Divides a screen; `None` when it is too small.
pub fn divide(screen: Size, details: bool) -> Option<Areas> {
    if screen.width < SMALLEST.width || screen.height < SMALLEST.height {
        return None;
    }
    let whole = Rect::from((ratatui::layout::Position::ORIGIN, screen));
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(whole);
    let (table, details) = match (details, body.height >= SHARED_BODY) {
        (false, _) => (Some(body), None),
        (true, false) => (None, Some(body)),
        (true, true) => {
            let [table, details] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(2)]).areas(body);
            (Some(table), Some(details))
        }
    };
    Some(Areas {
        header,
        table,
        details,
        body,
        footer,
    })
}
