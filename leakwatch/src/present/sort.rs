//! The order of processes.

use std::cmp::Ordering;

use super::fields::{FieldId, Value, severity};
use crate::model::snapshot::ProcessRow;

/// By which field, and which end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: FieldId,
    /// Turns the field's natural order round, which is largest or worst first for numbers and states, and alphabetical
    /// for text.
    pub invert: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            field: FieldId::State,
            invert: false,
        }
    }
}

impl Sort {
    /// Whether the largest comes first.
    pub fn descending(&self) -> bool {
        let natural = match self.field {
            FieldId::Pid | FieldId::ParentPid => false,
            FieldId::State => true,
            id => id.field().unit.is_number(),
        };
        natural != self.invert
    }

    /// Total order: among equals what leaks comes first, then what is suspected to, then what grows, and the rest by pid.
    /// What was not observed comes last whichever end is first.
    pub fn compare(&self, a: &ProcessRow, b: &ProcessRow) -> Ordering {
        let accused = |process: &ProcessRow| Some(severity(process.state)).filter(|_| process.state.grows());
        let mut order = by_value(self.field, self.descending(), a, b);
        order = order.then_with(|| accused(b).cmp(&accused(a)));
        if self.field == FieldId::State {
            order = order.then_with(|| by_value(FieldId::Growth, true, a, b));
        }
        order.then(a.id.cmp(&b.id))
    }
}

fn by_value(field: FieldId, descending: bool, a: &ProcessRow, b: &ProcessRow) -> Ordering {
    let value = field.field().value;
    let (left, right) = (value(a), value(b));
    match (unknown(&left), unknown(&right)) {
        (false, false) if descending => right.order(&left),
        (false, false) => left.order(&right),
        (left, right) => left.cmp(&right),
    }
}

fn unknown(value: &Value<'_>) -> bool {
    match value {
        Value::Unknown => true,
        Value::Rate(rate) => !rate.is_finite(),
        Value::Text(_) | Value::State(_) | Value::Amount(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Sort;
    use crate::model::snapshot::State;
    use crate::present::{fields::FieldId, sample};

    fn order(sort: Sort, rows: &[(u32, &str, Option<f64>)]) -> Vec<u32> {
        let mut processes: Vec<_> = rows
            .iter()
            .map(|&(pid, name, growth)| {
                let mut process = sample::process(pid, name);
                process.growth.memory_bytes_per_second = growth;
                process
            })
            .collect();
        processes.sort_by(|a, b| sort.compare(a, b));
        processes.iter().map(|process| process.id.pid).collect()
    }

    const ROWS: &[(u32, &str, Option<f64>)] = &[
        (3, "b", Some(1.0)),
        (1, "C", None),
        (4, "a", Some(9.0)),
        (2, "d", Some(1.0)),
    ];

    #[test]
    fn numbers_go_largest_first_with_ties_by_pid_and_unknown_last() {
        let growth = Sort {
            field: FieldId::Growth,
            invert: false,
        };
        assert_eq!(order(growth, ROWS), [4, 2, 3, 1]);
    }

    #[test]
    fn inverted_order_keeps_unknown_last_and_ties_by_pid() {
        let sort = Sort {
            field: FieldId::Growth,
            invert: true,
        };
        assert_eq!(order(sort, ROWS), [2, 3, 4, 1]);
    }

    #[test]
    fn what_leaks_comes_first_and_among_equals_what_grows_most() {
        assert_eq!(order(Sort::default(), ROWS), [4, 2, 3, 1]);
        let mut leaking = sample::process(9, "z");
        leaking.state = State::Leaking;
        leaking.growth.memory_bytes_per_second = None;
        for field in [FieldId::State, FieldId::User, FieldId::Threads] {
            let sort = Sort { field, invert: false };
            let growing = sample::process(1, "a");
            assert!(sort.compare(&leaking, &growing).is_lt(), "{field:?}");
        }
    }

    #[test]
    fn text_and_pids_go_upwards() {
        let by = |field| order(Sort { field, invert: false }, ROWS);
        assert_eq!(by(FieldId::Name), [4, 3, 1, 2]);
        assert_eq!(by(FieldId::Pid), [1, 2, 3, 4]);
    }
}
