//! Questions that a tick asks and what was answered, by what was asked: in which order does not matter.
//!
//! Most answers are those of the tick before. Only what changed is written, and what was not asked any more; so after each
//! tick whoever reads knows exactly what was answered in it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    io,
};

use serde::{Deserialize, Serialize};

/// Most bytes of the answers to one kind of question, as JSON.
const MAX_BYTES: usize = 64 << 20;
/// What an answer takes beside its text, bytes.
const EACH: usize = 64;

/// Differences between the answers of two ticks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Changes<K, V> {
    /// New answers.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    is: Vec<(K, V)>,
    /// What was not asked any more.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    gone: Vec<K>,
}

impl<K, V> Default for Changes<K, V> {
    fn default() -> Self {
        Self {
            is: Vec::new(),
            gone: Vec::new(),
        }
    }
}

impl<K, V> Changes<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        self.is.is_empty() && self.gone.is_empty()
    }
}

/// What is answered while it is recorded.
#[derive(Debug)]
pub(super) struct Asked<K, V> {
    before: HashMap<K, V>,
    now: HashMap<K, V>,
}

impl<K, V> Default for Asked<K, V> {
    fn default() -> Self {
        Self {
            before: HashMap::new(),
            now: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord, V: Clone + PartialEq> Asked<K, V> {
    /// The same question has the same answer for the rest of the tick.
    pub(super) fn ask(&mut self, question: K, ask: impl FnOnce() -> V) -> V {
        self.now.entry(question).or_insert_with(ask).clone()
    }

    /// Whether it was asked in the tick that ended last.
    pub(super) fn was_asked(&self, question: &K) -> bool {
        self.before.contains_key(question)
    }

    /// Ends a tick.
    pub(super) fn changes(&mut self) -> Changes<K, V> {
        let now = std::mem::take(&mut self.now);
        let is_new = |(question, answer): &(&K, &V)| self.before.get(*question) != Some(*answer);
        let new = now.iter().filter(is_new);
        let mut is: Vec<(K, V)> = new
            .map(|(question, answer)| (question.clone(), answer.clone()))
            .collect();
        let gone = self.before.keys().filter(|question| !now.contains_key(*question));
        let mut gone: Vec<K> = gone.cloned().collect();
        // Neighbours look alike, which the compressor likes.
        is.sort_by(|(one, _), (other, _)| one.cmp(other));
        gone.sort();
        self.before = now;
        Changes { is, gone }
    }
}

/// What was answered, while it is replayed.
#[derive(Debug)]
pub(super) struct Known<K, V> {
    /// With its size.
    answers: HashMap<K, (V, usize)>,
    bytes: usize,
    most_bytes: usize,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self {
            answers: HashMap::new(),
            bytes: 0,
            most_bytes: MAX_BYTES,
        }
    }
}

/// More answers than a recorder has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl<K: Eq + Hash, V: Serialize> Known<K, V> {
    pub(super) fn apply(&mut self, changes: Changes<K, V>) -> Result<(), TooMany> {
        for question in &changes.gone {
            if let Some((_, size)) = self.answers.remove(question) {
                self.bytes -= size;
            }
        }
        for (question, answer) in changes.is {
            let size = EACH + size(&answer);
            self.bytes += size;
            match self.answers.entry(question) {
                Entry::Occupied(mut known) => self.bytes -= known.insert((answer, size)).1,
                Entry::Vacant(unknown) => {
                    unknown.insert((answer, size));
                }
            }
            if self.bytes > self.most_bytes {
                return Err(TooMany);
            }
        }
        Ok(())
    }

    /// `None`: this was not asked.
    pub(super) fn get(&self, question: &K) -> Option<&V> {
        self.answers.get(question).map(|(answer, _)| answer)
    }
}

/// Of an answer as JSON.
fn size(answer: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What came from JSON goes into JSON, and counting does not fail.
    let _ = serde_json::to_writer(&mut count, answer);
    count.0
}

#[cfg(test)]
mod tests {
    use super::{Asked, Changes, Known, TooMany};

    #[test]
    fn who_reads_knows_what_was_answered() {
        let mut asked = Asked::default();
        let mut known = Known::default();
        let ticks: [&[(u32, &str)]; 4] = [
            &[(1, "a"), (2, "b")],
            &[(2, "b"), (3, "c"), (2, "not asked twice in a tick")],
            &[(1, "d")],
            &[],
        ];
        for tick in ticks {
            let answers: Vec<_> = tick
                .iter()
                .map(|&(question, answer)| (question, asked.ask(question, || answer.to_owned())))
                .collect();
            known.apply(asked.changes()).expect("room");
            assert_eq!(
                known.answers.len(),
                answers
                    .iter()
                    .map(|(question, _)| question)
                    .collect::<std::collections::HashSet<_>>()
                    .len()
            );
            for (question, answer) in &answers {
                assert_eq!(known.get(question), Some(answer));
            }
        }
        assert_eq!(known.bytes, 0);
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut asked = Asked::default();
        for (answer, expected) in [("a", 1), ("a", 0), ("b", 1)] {
            asked.ask(7, || answer);
            let changes = asked.changes();
            assert_eq!((changes.is.len(), changes.gone.len()), (expected, 0));
        }
    }

    #[test]
    fn answers_are_bounded() {
        let mut known = Known {
            most_bytes: 2_000,
            ..Known::default()
        };
        let changes = |question: u32| Changes {
            is: vec![(question, "x".repeat(1_000))],
            gone: Vec::new(),
        };
        assert_eq!(known.apply(changes(1)), Ok(()));
        assert_eq!(known.apply(changes(1)), Ok(()));
        assert_eq!(known.apply(changes(2)), Err(TooMany));
    }
}
