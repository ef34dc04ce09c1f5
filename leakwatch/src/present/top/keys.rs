//! Which key does what. The same tables are obeyed, shown by the help overlay and hinted at in the footer.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, Motion};
use crate::present::fields::FieldId;

/// A key, or a family of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// This key.
    Plain(KeyCode),
    /// This letter together with Ctrl.
    Ctrl(char),
    /// 0 to 9.
    Digit,
    /// Whatever writes something.
    Character,
}

/// One line of a key table.
pub struct Binding {
    /// Any of these.
    pub keys: &'static [Key],
    /// What follows; the character typed is passed on.
    pub action: fn(char) -> Action,
    /// For the help.
    pub help: &'static str,
    /// For the footer, where there is little room; most have none.
    pub hint: Option<&'static str>,
}

/// What the keys act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The screen itself.
    Screen,
    /// A line of text being typed.
    Prompt,
    /// A list or page over the screen.
    Overlay,
}

impl Context {
    /// Its key table.
    pub fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Screen => SCREEN,
            Self::Prompt => PROMPT,
            Self::Overlay => OVERLAY,
        }
    }
}

/// What a key means.
pub fn action(context: Context, event: KeyEvent) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    context.bindings().iter().find_map(|binding| {
        let pressed = |key: &Key| key.typed(event);
        binding.keys.iter().find_map(pressed).map(binding.action)
    })
}

impl Key {
    /// The character that the event stands for if it is this key; some character for keys that write none.
    fn typed(self, event: KeyEvent) -> Option<char> {
        let control = event
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (self, event.code) {
            (Self::Plain(KeyCode::Char(key)), KeyCode::Char(c)) => (key == c && !control).then_some(c),
            (Self::Plain(key), code) => (key == code).then_some(' '),
            (Self::Ctrl(key), KeyCode::Char(c)) => {
                (c.eq_ignore_ascii_case(&key) && event.modifiers == KeyModifiers::CONTROL).then_some(c)
            }
            (Self::Digit, KeyCode::Char(c)) => (c.is_ascii_digit() && !control).then_some(c),
            (Self::Character, KeyCode::Char(c)) => (!control).then_some(c),
            _ => None,
        }
    }

    /// As printed on the key.
    pub fn label(self) -> String {
        match self {
            Self::Ctrl(key) => format!("Ctrl-{}", key.to_ascii_uppercase()),
            Self::Digit => "0-9".to_owned(),
            Self::Character => "text".to_owned(),
            Self::Plain(KeyCode::Char(' ')) => "Space".to_owned(),
            Self::Plain(KeyCode::Char(key)) => key.to_string(),
            Self::Plain(KeyCode::F(number)) => format!("F{number}"),
            Self::Plain(KeyCode::PageUp) => "PgUp".to_owned(),
            Self::Plain(KeyCode::PageDown) => "PgDn".to_owned(),
            Self::Plain(KeyCode::BackTab) => "Shift-Tab".to_owned(),
            Self::Plain(key) => key.to_string(),
        }
    }
}

const fn char(key: char) -> Key {
    Key::Plain(KeyCode::Char(key))
}

const fn key(code: KeyCode) -> Key {
    Key::Plain(code)
}

const fn bind(keys: &'static [Key], action: fn(char) -> Action, help: &'static str) -> Binding {
    Binding {
        keys,
        action,
        help,
        hint: None,
    }
}

const fn hint(
    keys: &'static [Key],
    action: fn(char) -> Action,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding {
        keys,
        action,
        help,
        hint: Some(hint),
    }
}

const QUIT: &[Key] = &[Key::Ctrl('c')];

static SCREEN: &[Binding] = &[
    hint(
        &[char('?'), key(KeyCode::F(1)), char('h')],
        |_| Action::Help,
        "this help",
        "help",
    ),
    hint(
        &[char('/')],
        |_| Action::OpenFilter,
        "filter: words, or fields as in rss>500MiB state!=healthy",
        "filter",
    ),
    hint(
        &[char('s')],
        |_| Action::OpenSort,
        "choose what to sort by",
        "sort",
    ),
    hint(
        &[key(KeyCode::Enter)],
        |_| Action::Details,
        "details of the process: kinds, history, sites",
        "details",
    ),
    hint(
        &[key(KeyCode::Tab)],
        |_| Action::NextTab,
        "next screen: processes, leakwatch itself",
        "screen",
    ),
    bind(
        &[key(KeyCode::BackTab)],
        |_| Action::PreviousTab,
        "previous screen",
    ),
    hint(&[char('q'), Key::Ctrl('c')], |_| Action::Quit, "quit", "quit"),
    bind(
        &[key(KeyCode::Esc)],
        |_| Action::Back,
        "back: close details, drop the filter, drop the cursor",
    ),
    bind(&[Key::Digit], Action::Digit, "go to the process with this pid"),
    bind(
        &[char('n')],
        |_| Action::JumpNext,
        "next process whose pid begins so",
    ),
    bind(
        &[char('N')],
        |_| Action::JumpPrevious,
        "previous process whose pid begins so",
    ),
    bind(
        &[char('<')],
        |_| Action::SortLeft,
        "sort by the column to the left",
    ),
    bind(
        &[char('>')],
        |_| Action::SortRight,
        "sort by the column to the right",
    ),
    bind(&[char('I')], |_| Action::Invert, "turn the order round"),
    bind(&[char('M')], |_| Action::SortBy(FieldId::Rss), "sort by memory"),
    bind(
        &[char('G')],
        |_| Action::SortBy(FieldId::Growth),
        "sort by growth of memory",
    ),
    bind(
        &[char('F')],
        |_| Action::SortBy(FieldId::Fds),
        "sort by file descriptors",
    ),
    bind(
        &[char('T')],
        |_| Action::SortBy(FieldId::Threads),
        "sort by threads",
    ),
    bind(&[char('t')], |_| Action::Tree, "children below their parents"),
    bind(
        &[char('+')],
        |_| Action::Expand,
        "show the children of the process",
    ),
    bind(
        &[char('-')],
        |_| Action::Collapse,
        "hide the children of the process",
    ),
    bind(&[char('*')], |_| Action::ToggleAll, "show or hide all children"),
    bind(
        &[char(' '), char('Z')],
        |_| Action::Pause,
        "pause: keep what is shown",
    ),
    bind(
        &[char('f')],
        |_| Action::Follow,
        "follow: keep the process under the cursor in view",
    ),
    bind(
        &[char('w')],
        |_| Action::Save,
        "write the snapshot to a JSON file in the current directory",
    ),
    bind(&[key(KeyCode::Up), char('k')], |_| Action::Move(Motion::Up), "up"),
    bind(
        &[key(KeyCode::Down), char('j')],
        |_| Action::Move(Motion::Down),
        "down",
    ),
    bind(
        &[key(KeyCode::PageUp)],
        |_| Action::Move(Motion::PageUp),
        "a page up; scrolls the details when open",
    ),
    bind(
        &[key(KeyCode::PageDown)],
        |_| Action::Move(Motion::PageDown),
        "a page down",
    ),
    bind(
        &[Key::Ctrl('u')],
        |_| Action::Move(Motion::HalfUp),
        "half a page up",
    ),
    bind(
        &[Key::Ctrl('d')],
        |_| Action::Move(Motion::HalfDown),
        "half a page down",
    ),
    bind(
        &[key(KeyCode::Home), char('g')],
        |_| Action::Move(Motion::Home),
        "to the first",
    ),
    bind(&[key(KeyCode::End)], |_| Action::Move(Motion::End), "to the last"),
    bind(&[Key::Ctrl('l')], |_| Action::Redraw, "draw the screen anew"),
    bind(
        &[Key::Ctrl('z')],
        |_| Action::Suspend,
        "suspend; the shell's fg comes back",
    ),
];

static PROMPT: &[Binding] = &[
    bind(QUIT, |_| Action::Quit, "quit"),
    hint(
        &[key(KeyCode::Enter)],
        |_| Action::Accept,
        "keep the filter",
        "keep",
    ),
    hint(
        &[key(KeyCode::Esc)],
        |_| Action::Back,
        "back to the filter before",
        "cancel",
    ),
    bind(
        &[key(KeyCode::Backspace), Key::Ctrl('h')],
        |_| Action::Erase,
        "erase a character",
    ),
    bind(&[Key::Ctrl('w')], |_| Action::EraseWord, "erase a word"),
    hint(
        &[Key::Ctrl('u')],
        |_| Action::EraseAll,
        "erase everything",
        "clear",
    ),
    bind(&[Key::Ctrl('z')], |_| Action::Suspend, "suspend"),
    bind(&[Key::Character], Action::Type, "write"),
];

static OVERLAY: &[Binding] = &[
    bind(QUIT, |_| Action::Quit, "quit"),
    hint(&[key(KeyCode::Enter)], |_| Action::Accept, "choose", "choose"),
    hint(
        &[
            key(KeyCode::Esc),
            char('q'),
            char('?'),
            char('s'),
            key(KeyCode::F(1)),
        ],
        |_| Action::Back,
        "close",
        "close",
    ),
    bind(&[key(KeyCode::Up), char('k')], |_| Action::Move(Motion::Up), "up"),
    bind(
        &[key(KeyCode::Down), char('j')],
        |_| Action::Move(Motion::Down),
        "down",
    ),
    bind(
        &[key(KeyCode::PageUp), Key::Ctrl('u')],
        |_| Action::Move(Motion::PageUp),
        "a page up",
    ),
    bind(
        &[key(KeyCode::PageDown), Key::Ctrl('d')],
        |_| Action::Move(Motion::PageDown),
        "a page down",
    ),
    bind(
        &[key(KeyCode::Home), char('g')],
        |_| Action::Move(Motion::Home),
        "to the first",
    ),
    bind(
        &[key(KeyCode::End), char('G')],
        |_| Action::Move(Motion::End),
        "to the last",
    ),
    bind(&[char('I')], |_| Action::Invert, "turn the order round"),
    bind(&[Key::Ctrl('z')], |_| Action::Suspend, "suspend"),
];

#[cfg(test)]
mod tests {
    use super::{Action, Context, FieldId, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, Motion, action};
    use std::collections::HashMap;

    fn press(context: Context, code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(context, KeyEvent::new(code, modifiers))
    }

    #[test]
    fn no_key_has_two_meanings() {
        for context in [Context::Screen, Context::Prompt, Context::Overlay] {
            let mut seen = HashMap::new();
            for binding in context.bindings() {
                for key in binding.keys {
                    let before = seen.insert(key.label(), binding.help);
                    assert_eq!(before, None, "{} in {context:?}", key.label());
                }
            }
        }
    }

    #[test]
    fn letters_come_with_and_without_the_shift_flag() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!(
                press(Context::Screen, KeyCode::Char('M'), modifiers),
                Some(Action::SortBy(FieldId::Rss))
            );
        }
        assert_eq!(
            press(Context::Screen, KeyCode::Char('m'), KeyModifiers::NONE),
            None
        );
    }

    #[test]
    fn control_is_not_the_letter_alone() {
        let press = |c, modifiers| press(Context::Screen, KeyCode::Char(c), modifiers);
        assert_eq!(press('c', KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(press('c', KeyModifiers::NONE), None);
        assert_eq!(
            press('d', KeyModifiers::CONTROL),
            Some(Action::Move(Motion::HalfDown))
        );
        assert_eq!(press('q', KeyModifiers::CONTROL), None);
        assert_eq!(press('7', KeyModifiers::NONE), Some(Action::Digit('7')));
    }

    #[test]
    fn a_prompt_takes_letters_as_text_and_still_quits() {
        assert_eq!(
            press(Context::Prompt, KeyCode::Char('q'), KeyModifiers::NONE),
            Some(Action::Type('q'))
        );
        assert_eq!(
            press(Context::Prompt, KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Action::Quit)
        );
    }

    #[test]
    fn releasing_a_key_means_nothing() {
        let event = KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(action(Context::Screen, event), None);
    }
}
