//! The filter: which processes are shown.
//!
//! Terms are separated by blanks and all must hold. A bare word is looked for in name, command line, container and user.
//! `field op value` compares a field of [`super::fields`] with one of `=` `!=` `>` `<` `>=` `<=` `~` (contains);
//! `state:leaking` and `name:java` are short for the likeliest of them. A leading `!` turns a term round.
//! Sizes take units (`500MiB`, `10MB`), rates a time (`growth>10MiB/h`); a rate without one is per minute, as in the table.

mod parse;

use std::str::FromStr;

pub use parse::{FilterError, Problem};

use super::fields::{FieldId, Unit, Value};
use crate::model::snapshot::{ProcessRow, State};

/// A parsed filter; the empty one shows everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// The word in lower case.
    Word(String),
    Number(FieldId, Operator, f64),
    Text(FieldId, Operator, String),
    State(Operator, State),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Contains,
}

impl Filter {
    /// Whether the process is to be shown.
    pub fn matches(&self, process: &ProcessRow) -> bool {
        self.terms
            .iter()
            .all(|term| term.test.holds(process) != term.negated)
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether everything is shown.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self {
            text: text.trim().to_owned(),
            terms: parse::terms(text)?,
        })
    }
}

impl Test {
    fn holds(&self, process: &ProcessRow) -> bool {
        match self {
            Self::Word(word) => [FieldId::Name, FieldId::Cmdline, FieldId::Container, FieldId::User]
                .into_iter()
                .any(|id| contains(words(id, process), word)),
            // What was not observed is neither more nor less than anything, nor different from it.
            Self::Number(id, operator, wanted) => (id.field().value)(process)
                .number()
                .is_some_and(|number| operator.compares(number, *wanted)),
            Self::Text(id, Operator::Contains, wanted) => contains(words(*id, process), wanted),
            Self::Text(id, operator, wanted) => {
                let found = words(*id, process);
                let same = match id.field().unit {
                    Unit::Identifier => !wanted.is_empty() && found.starts_with(wanted.as_str()),
                    _ => false,
                } || found == wanted;
                same != (*operator == Operator::NotEqual)
            }
            Self::State(operator, state) => (process.state == *state) != (*operator == Operator::NotEqual),
        }
    }
}

impl Operator {
    fn compares(self, number: f64, wanted: f64) -> bool {
        match self {
            Self::Equal | Self::Contains => number.total_cmp(&wanted).is_eq(),
            Self::NotEqual => number.total_cmp(&wanted).is_ne(),
            Self::Greater => number > wanted,
            Self::Less => number < wanted,
            Self::GreaterOrEqual => number >= wanted,
            Self::LessOrEqual => number <= wanted,
        }
    }
}

/// The words of a field; text that is not known is empty.
fn words(id: FieldId, process: &ProcessRow) -> &str {
    match (id.field().value)(process) {
        Value::Text(text) => text,
        Value::Unknown | Value::State(_) | Value::Amount(_) | Value::Rate(_) => "",
    }
}

fn contains(text: &str, lowercase: &str) -> bool {
    text.to_lowercase().contains(lowercase)
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::present::sample;
    use proptest::prelude::{any, prop_assert_ne, proptest};

    /// Whether a process with 412 MiB, +1.2 MiB/min, 412 of 4096 descriptors at +186/min and 24 threads is shown.
    fn shows(filter: &str) -> bool {
        let filter: Filter = filter.parse().expect("filter parses");
        filter.matches(&sample::process(4711, "payments"))
    }

    #[test]
    fn words_are_looked_for_in_name_cmdline_container_and_user() {
        for word in ["PAY", "spring.jar", "8f3a0c", "shop", ""] {
            assert!(shows(word), "{word}");
        }
        assert!(!shows("postgres"));
        assert!(!shows("pay postgres"), "all terms must hold");
    }

    #[test]
    fn numbers_compare_in_their_units() {
        for filter in [
            "rss>400MiB rss<=412MiB rss=432013312 rss>431MB",
            "growth>70MiB/h growth<73MiB/h growth>1MiB growth>20KiB/s",
            "fds>=412 fds<413 fd_limit>4k fd_growth>3/s fd_growth=186",
            "threads!=25 pid=4711 started>1h started<1h20m",
        ] {
            assert!(shows(filter), "{filter}");
        }
        for filter in ["rss>412MiB", "growth>73MiB/h", "fds!=412", "threads<24"] {
            assert!(!shows(filter), "{filter}");
        }
    }

    #[test]
    fn text_is_equal_as_a_whole_and_identifiers_by_their_beginning() {
        assert!(shows(
            "name=payments runtime=java name~MENT user!=root container=8f3a0c"
        ));
        assert!(!shows("name=pay"));
        assert!(!shows("container=3a0c"));
        assert!(shows("container!="), "a container is known");
    }

    #[test]
    fn states_and_negation() {
        assert!(shows("state=growing !state=healthy state!=healthy !postgres"));
        assert!(!shows("!state=growing"));
    }

    #[test]
    fn an_unobserved_number_satisfies_no_comparison() {
        let mut process = sample::process(1, "init");
        process.mapped_anon_bytes = None;
        for filter in [
            "mapped_anon=0",
            "mapped_anon!=0",
            "mapped_anon>0",
            "mapped_anon<1",
        ] {
            let filter: Filter = filter.parse().expect("filter parses");
            assert!(!filter.matches(&process), "{filter:?}");
        }
    }

    proptest! {
        #[test]
        fn a_negated_term_shows_exactly_the_rest(word in "[a-z0-9=<>~!/.]{1,12}") {
            let process = sample::process(4711, "payments");
            if let (Ok(plain), Ok(negated)) = (word.parse::<Filter>(), format!("!{word}").parse::<Filter>())
                && !word.starts_with('!')
            {
                prop_assert_ne!(plain.matches(&process), negated.matches(&process));
            }
        }

        #[test]
        fn nothing_typed_panics(text in any::<String>()) {
            let _ = text.parse::<Filter>().map(|filter| filter.matches(&sample::process(1, "init")));
        }

        #[test]
        fn nothing_that_looks_like_a_filter_panics(
            text in "(!?(rss|growth|fds|state|name|container|é)?(=|!=|>|<|>=|<=|~)?-?[0-9.]{0,6}(K|MiB|GB|é|/h|/s)?[ \t]?){0,4}"
        ) {
            let _ = text.parse::<Filter>().map(|filter| filter.matches(&sample::process(1, "init")));
        }
    }
}
