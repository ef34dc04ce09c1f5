//! What keys can mean and what follows from it.

use std::sync::Arc;

use crate::model::snapshot::Snapshot;
use crate::present::fields::FieldId;

/// A way to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One up.
    Up,
    /// One down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// To the first.
    Home,
    /// To the last.
    End,
}

impl Motion {
    /// Whether it goes further than one.
    pub fn is_by_page(self) -> bool {
        matches!(
            self,
            Self::PageUp | Self::PageDown | Self::HalfUp | Self::HalfDown
        )
    }

    /// Where it leads from `at`, in a list of which `page` are seen at once and that ends with `last`.
    pub fn from(self, at: usize, page: usize, last: usize) -> usize {
        let half = (page / 2).max(1);
        let target = match self {
            Self::Up => at.saturating_sub(1),
            Self::Down => at.saturating_add(1),
            Self::PageUp => at.saturating_sub(page.max(1)),
            Self::PageDown => at.saturating_add(page.max(1)),
            Self::HalfUp => at.saturating_sub(half),
            Self::HalfDown => at.saturating_add(half),
            Self::Home => 0,
            Self::End => last,
        };
        target.min(last)
    }
}

/// Everything a key can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Back one level.
    Back,
    /// Show the keys.
    Help,
    /// Begin to type a filter.
    OpenFilter,
    /// A digit of a pid to go to.
    Digit(char),
    /// To the next process whose pid begins with the digits.
    JumpNext,
    /// To the previous one.
    JumpPrevious,
    /// Show the fields to sort by.
    OpenSort,
    /// Sort by the column to the left.
    SortLeft,
    /// Sort by the column to the right.
    SortRight,
    /// Sort by this field.
    SortBy(FieldId),
    /// Turn the order round.
    Invert,
    /// Children below parents, or not.
    Tree,
    /// Show the children of the process under the cursor.
    Expand,
    /// Hide them.
    Collapse,
    /// Show all children, or hide all.
    ToggleAll,
    /// Keep what is shown, or go on.
    Pause,
    /// Keep the cursor in view, or not.
    Follow,
    /// Open or close the details.
    Details,
    /// The next screen.
    NextTab,
    /// The previous one.
    PreviousTab,
    /// Write the snapshot to a file.
    Save,
    /// Stop this process as a shell would.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Move the cursor or scroll.
    Move(Motion),
    /// Write a character into the prompt.
    Type(char),
    /// Erase the last character of the prompt.
    Erase,
    /// Erase the last word of the prompt.
    EraseWord,
    /// Erase the prompt.
    EraseAll,
    /// Keep what the prompt or list says.
    Accept,
}

/// What an action asks of the world outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Leave.
    Quit,
    /// Write this snapshot to a file.
    Save(Arc<Snapshot>),
    /// Stop this process.
    Suspend,
    /// Draw everything anew.
    Redraw,
}
