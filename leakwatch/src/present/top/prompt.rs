//! The line in which a filter is typed. What parses takes effect at once.

use super::action::Action;
use crate::present::filter::{Filter, FilterError};

/// A filter being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub error: Option<FilterError>,
    /// The filter to return to.
    pub before: Filter,
}

impl Prompt {
    /// Begins with the filter in force.
    pub fn new(filter: &Filter) -> Self {
        Self {
            text: filter.text().to_owned(),
            error: None,
            before: filter.clone(),
        }
    }

    /// Changes the text. The filter that it makes, if it makes one.
    pub fn edit(&mut self, action: Action) -> Option<Filter> {
        match action {
            Action::Type(c) => self.text.push(c),
            Action::Erase => drop(self.text.pop()),
            Action::EraseWord => {
                let words = self.text.trim_end().char_indices();
                let blank = words.rev().find(|(_, c)| c.is_whitespace());
                let kept = blank.map_or(0, |(at, c)| at + c.len_utf8());
                self.text.truncate(kept);
            }
            _ => self.text.clear(),
        }
        let parsed = self.text.parse();
        self.error = parsed.as_ref().err().cloned();
        parsed.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Prompt};
    use crate::present::filter::Filter;

    fn typed(text: &str) -> Prompt {
        let mut prompt = Prompt::new(&Filter::default());
        for c in text.chars() {
            prompt.edit(Action::Type(c));
        }
        prompt
    }

    #[test]
    fn an_unfinished_term_is_an_error_until_it_is_finished() {
        let mut prompt = typed("java rss>");
        assert!(prompt.error.is_some());
        let filter = prompt.edit(Action::Type('5')).expect("rss>5 is a filter");
        assert_eq!((filter.text(), prompt.error), ("java rss>5", None));
    }

    #[test]
    fn words_and_characters_are_erased_from_the_end() {
        let mut prompt = typed("name=日本\u{3000}x ");
        prompt.edit(Action::EraseWord);
        assert_eq!(prompt.text, "name=日本\u{3000}");
        prompt.edit(Action::Erase);
        prompt.edit(Action::Erase);
        assert_eq!(prompt.text, "name=日");
        prompt.edit(Action::EraseWord);
        assert_eq!(prompt.text, "");
        prompt.edit(Action::Erase);
        assert_eq!(prompt.text, "");
    }
}
