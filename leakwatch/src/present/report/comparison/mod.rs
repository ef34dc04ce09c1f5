//! What grew between two moments, written out. One writer per format.

mod json;
mod text;

pub use self::{json::write as json, text::write as text};

#[cfg(test)]
mod tests {
    use super::{json, text};
    use crate::present::{recording::compare::Comparison, sample};

    fn written(
        write: fn(&Comparison, &mut dyn std::io::Write) -> std::io::Result<()>,
        comparison: &Comparison,
    ) -> String {
        let mut out = Vec::new();
        write(comparison, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("reports are UTF-8")
    }

    fn ten_minutes() -> Comparison {
        let recording = sample::recording();
        Comparison::between(&recording[0], &recording[60])
    }

    #[test]
    fn what_grew_most_comes_first() {
        insta::assert_snapshot!("text", written(text, &ten_minutes()));
        let document: serde_json::Value =
            serde_json::from_str(&written(json, &ten_minutes())).expect("it is JSON");
        insta::assert_snapshot!("json", format!("{document:#}"));
    }

    #[test]
    fn hostile_names_reach_no_terminal() {
        let mut before = sample::hostile();
        for process in &mut before.processes {
            process.fds += 1;
            process.sites.clear();
        }
        let comparison = Comparison::between(&before, &sample::hostile());
        assert!(!comparison.processes.is_empty());
        let text = written(text, &comparison);
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}', '\t']), "{text}");
        assert!(!written(json, &comparison).contains(['\x1b', '\x07']));
    }

    #[test]
    fn no_change_is_said_so() {
        let comparison = Comparison::between(&sample::snapshot(), &sample::snapshot());
        assert!(written(text, &comparison).ends_with("nothing grew and nothing shrank\n"));
    }
}
