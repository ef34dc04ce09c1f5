//! From what was typed to terms, or to an error that points at the term.

use std::ops::Range;

use super::{Operator, Term, Test};
use crate::present::fields::{FIELDS, FieldId, STATES, Unit, state_name};

/// What is wrong with which term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in filter term {term:?}: {problem}")]
pub struct FilterError {
    /// The term as typed.
    pub term: String,
    /// Where it stands in the filter, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no such field.
    #[error("no field {name:?}; fields are {}", known_fields())]
    UnknownField {
        /// As typed.
        name: String,
    },
    /// It begins with an operator.
    #[error("a field is missing before the operator; write it without blanks, as in rss>500MiB")]
    NoField,
    /// Nothing follows the `!`.
    #[error("nothing follows the !")]
    NothingNegated,
    /// The operator does not go with the field.
    #[error("{field} is compared with {operators}")]
    WrongOperator {
        /// Name of the field.
        field: &'static str,
        /// Those that go with it.
        operators: &'static str,
    },
    /// The value is none of the field's.
    #[error("{field} needs {wanted}")]
    BadValue {
        /// Name of the field.
        field: &'static str,
        /// What it needs, with an example.
        wanted: &'static str,
    },
}

fn known_fields() -> String {
    FIELDS
        .iter()
        .map(|field| field.name)
        .collect::<Vec<_>>()
        .join(", ")
}

const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Contains),
];

pub(super) fn terms(text: &str) -> Result<Vec<Term>, FilterError> {
    let mut at = 0;
    let mut terms = Vec::new();
    for piece in text.split_inclusive(char::is_whitespace) {
        let typed = piece.trim_end();
        if !typed.is_empty() {
            terms.push(term(typed).map_err(|problem| FilterError {
                term: typed.to_owned(),
                span: at..at + typed.len(),
                problem,
            })?);
        }
        at += piece.len();
    }
    Ok(terms)
}

fn term(typed: &str) -> Result<Term, Problem> {
    let (negated, rest) = match typed.strip_prefix('!') {
        Some(rest) if rest.starts_with('=') => return Err(Problem::NoField),
        Some("") => return Err(Problem::NothingNegated),
        Some(rest) => (true, rest),
        None => (false, typed),
    };
    Ok(Term {
        negated,
        test: test(rest)?,
    })
}

fn test(typed: &str) -> Result<Test, Problem> {
    let name_end = typed
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(typed.len());
    let (name, rest) = typed.split_at(name_end);
    if let Some((id, value)) = field_with_colon(name, rest) {
        let operator = match id.field().unit {
            Unit::Text => Operator::Contains,
            _ => Operator::Equal,
        };
        return comparison(id, operator, value);
    }
    let Some((operator, value)) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| rest.strip_prefix(sign).map(|value| (*operator, value)))
    else {
        return Ok(Test::Word(typed.to_lowercase()));
    };
    if name.is_empty() {
        return Err(Problem::NoField);
    }
    let id = FieldId::named(name).ok_or_else(|| Problem::UnknownField {
        name: name.to_owned(),
    })?;
    comparison(id, operator, value)
}

/// `state:leaking`. A word may have a colon, too, so the name has to be that of a field and something has to follow.
fn field_with_colon<'a>(name: &str, rest: &'a str) -> Option<(FieldId, &'a str)> {
    let value = rest.strip_prefix(':').filter(|value| !value.is_empty())?;
    Some((FieldId::named(name)?, value))
}

fn comparison(id: FieldId, operator: Operator, value: &str) -> Result<Test, Problem> {
    let field = id.field().name;
    let wrong = |operators| Err(Problem::WrongOperator { field, operators });
    let number = |parsed: Option<f64>, wanted| match (operator, parsed) {
        (Operator::Contains, _) => wrong("= != > < >= <="),
        (_, Some(number)) => Ok(Test::Number(id, operator, number)),
        (_, None) => Err(Problem::BadValue { field, wanted }),
    };
    match id.field().unit {
        Unit::Text | Unit::Identifier => match operator {
            Operator::Contains => Ok(Test::Text(id, operator, value.to_lowercase())),
            Operator::Equal | Operator::NotEqual => Ok(Test::Text(id, operator, value.to_owned())),
            _ => wrong("= != ~"),
        },
        Unit::State => match operator {
            Operator::Equal | Operator::NotEqual => STATES
                .into_iter()
                .find(|state| state_name(*state) == value)
                .map(|state| Test::State(operator, state))
                .ok_or(Problem::BadValue {
                    field,
                    wanted: "one of leaking, suspected, growing, recovered, healthy, observing, zombie",
                }),
            _ => wrong("= !="),
        },
        Unit::Count => number(amount(value, count_unit), "a number, as in 1024 or 4k"),
        Unit::Nanoseconds => number(time(value), "a time, as in 90s or 1h30m"),
        Unit::Bytes => number(amount(value, byte_unit), "a size, as in 500MiB or 10MB"),
        Unit::BytesPerSecond => number(rate(value, byte_unit), "growth, as in 10MiB/h"),
        Unit::PerSecond => number(rate(value, count_unit), "growth, as in 3/s or 100/h"),
    }
}

fn amount(value: &str, unit: fn(&str) -> Option<f64>) -> Option<f64> {
    let digits_end = value
        .find(|c: char| c.is_ascii_alphabetic() || !c.is_ascii())
        .unwrap_or(value.len());
    let (digits, suffix) = value.split_at(digits_end);
    Some(digits.parse::<f64>().ok()? * unit(&suffix.to_ascii_lowercase())?)
}

fn time(value: &str) -> Option<f64> {
    let time = humantime::parse_duration(value).ok()?;
    Some(time.as_nanos() as f64)
}

/// Per second; what names no time is per minute.
fn rate(value: &str, unit: fn(&str) -> Option<f64>) -> Option<f64> {
    let (value, seconds) = match value.split_once('/') {
        None => (value, 60.0),
        Some((value, "s" | "sec")) => (value, 1.0),
        Some((value, "m" | "min")) => (value, 60.0),
        Some((value, "h" | "hour")) => (value, 3600.0),
        Some((value, "d" | "day")) => (value, 86_400.0),
        Some(_) => return None,
    };
    amount(value, unit).map(|amount| amount / seconds)
}

fn count_unit(suffix: &str) -> Option<f64> {
    match suffix {
        "" => Some(1.0),
        "k" => Some(1e3),
        "m" => Some(1e6),
        "g" => Some(1e9),
        _ => None,
    }
}

fn byte_unit(suffix: &str) -> Option<f64> {
    let (letter, base) = match suffix.as_bytes() {
        b"" | b"b" => return Some(1.0),
        [letter] | [letter, b'i', b'b'] => (*letter, 1024.0_f64),
        [letter, b'b'] => (*letter, 1000.0),
        _ => return None,
    };
    let power = b"kmgtpe".iter().position(|known| *known == letter)?;
    Some(base.powi(i32::try_from(power).ok()? + 1))
}

#[cfg(test)]
mod tests {
    use super::{FilterError, Problem};
    use crate::present::filter::Filter;

    fn error(filter: &str) -> FilterError {
        filter.parse::<Filter>().expect_err("filter is wrong")
    }

    #[test]
    fn an_error_points_at_its_term_and_lists_the_fields() {
        let error = error("java  speed>3 x");
        assert_eq!(error.span, 6..13);
        assert_eq!(error.problem, Problem::UnknownField { name: "speed".into() });
        let text = error.to_string();
        assert!(
            text.starts_with(r#"in filter term "speed>3": no field "speed"; fields are pid, user, name"#),
            "{text}"
        );
    }

    #[test]
    fn values_and_operators_are_checked_per_field() {
        for (filter, text) in [
            ("rss>many", "rss needs a size, as in 500MiB or 10MB"),
            ("rss>5MiB/h", "rss needs a size, as in 500MiB or 10MB"),
            ("growth>5MiB/fortnight", "growth needs growth, as in 10MiB/h"),
            ("fds>", "fds needs a number, as in 1024 or 4k"),
            ("started>3", "started needs a time, as in 90s or 1h30m"),
            ("fds>nan", "fds needs a number, as in 1024 or 4k"),
            ("fds~4", "fds is compared with = != > < >= <="),
            ("name>a", "name is compared with = != ~"),
            (
                "state=sick",
                "state needs one of leaking, suspected, growing, recovered, healthy, observing, zombie",
            ),
            (
                ">5",
                "a field is missing before the operator; write it without blanks, as in rss>500MiB",
            ),
            (
                "!=5",
                "a field is missing before the operator; write it without blanks, as in rss>500MiB",
            ),
            ("!", "nothing follows the !"),
        ] {
            assert_eq!(error(filter).problem.to_string(), text, "{filter}");
        }
    }

    #[test]
    fn a_colon_compares_only_after_the_name_of_a_field() {
        for (filter, same) in [
            ("state:leaking", "state=leaking"),
            ("!state:healthy", "!state=healthy"),
            ("name:Pay", "name~Pay"),
            ("fds:12", "fds=12"),
        ] {
            assert_eq!(super::terms(filter), super::terms(same), "{filter}");
        }
        assert!(matches!(error("state:sick").problem, Problem::BadValue { .. }));
        for word in ["http://x", "postgres:", "name:"] {
            assert!(word.parse::<Filter>().is_ok(), "{word}");
        }
    }

    #[test]
    fn what_does_not_begin_with_a_field_name_is_a_word() {
        for word in ["--jobs=4", "/usr/bin/x", "a.b", "4711"] {
            assert!(word.parse::<Filter>().is_ok(), "{word}");
        }
    }

    #[test]
    fn hostile_input_is_escaped_in_the_message() {
        assert!(!error("name>\x1b[2J\u{7}").to_string().contains(['\x1b', '\u{7}']));
    }
}
