//! Colours and signs. Sixteen colours at most, and nothing is said by colour alone.

use std::borrow::Cow;

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};

use crate::model::{finding::Verdict, snapshot::State};
use crate::present::text;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether nothing outside ASCII may be used.
    pub ascii: bool,
}

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// Said quietly: units, hints, what is not known.
    Quiet,
    /// A heading or a key.
    Title,
    /// The row the cursor is on, the head of the table.
    Bar,
    Good,
    /// To be looked at.
    Warning,
    /// To be acted on.
    Bad,
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    pub(super) fn style(self, role: Role) -> Style {
        let (color, modifier) = match role {
            Role::Plain => (None, Modifier::empty()),
            Role::Quiet => (None, Modifier::DIM),
            Role::Title => (Some(Color::Cyan), Modifier::BOLD),
            Role::Bar => (None, Modifier::REVERSED),
            Role::Good => (Some(Color::Green), Modifier::empty()),
            Role::Warning => (Some(Color::Yellow), Modifier::BOLD),
            Role::Bad => (Some(Color::Red), Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        match color {
            Some(color) if self.color => style.fg(color),
            _ => style,
        }
    }

    pub(super) fn border(self) -> border::Set<'static> {
        if self.ascii { ASCII_BORDER } else { border::PLAIN }
    }

    /// Text chosen by somebody else, as this terminal can show it.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        let safe = text::printable(text);
        if self.ascii && !safe.is_ascii() {
            Cow::Owned(text::ascii(&safe).into_owned())
        } else {
            safe
        }
    }

    /// Marks where text was cut off.
    pub(super) fn ellipsis(self) -> char {
        self.pick('…', '~')
    }

    pub(super) fn arrow(self, down: bool) -> char {
        if down {
            self.pick('▼', 'v')
        } else {
            self.pick('▲', '^')
        }
    }

    pub(super) fn tick(self, good: bool) -> char {
        if good {
            self.pick('✔', '+')
        } else {
            self.pick('✖', '!')
        }
    }

    pub(super) fn state(self, state: State) -> (char, Role) {
        match state {
            State::Observing => (self.pick('·', '.'), Role::Quiet),
            State::Healthy => (self.pick('✔', '+'), Role::Good),
            State::Recovered => (self.pick('▽', '-'), Role::Good),
            State::Growing => (self.pick('▲', '^'), Role::Plain),
            State::Suspected => ('?', Role::Warning),
            State::Leaking => ('!', Role::Bad),
            State::Zombie => (self.pick('✖', 'x'), Role::Quiet),
        }
    }

    pub(super) fn verdict(self, verdict: Verdict) -> (char, Role) {
        match verdict {
            Verdict::Healthy => self.state(State::Healthy),
            Verdict::Ended => (self.pick('✖', 'x'), Role::Quiet),
            Verdict::Recovered => self.state(State::Recovered),
            Verdict::Growing => self.state(State::Growing),
            Verdict::Suspected => self.state(State::Suspected),
            Verdict::Leaking => self.state(State::Leaking),
        }
    }

    /// From low to high.
    pub(super) fn levels(self) -> &'static [char] {
        if self.ascii {
            &['_', '.', '-', '=', '+', '*', '%', '#']
        } else {
            &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        }
    }

    pub(super) fn pick(self, unicode: char, ascii: char) -> char {
        if self.ascii { ascii } else { unicode }
    }
}
