//! The JSON contract: `docs/schema/findings.json`.

use std::io;

use super::Document;

pub(super) fn write(document: &Document, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use serde_json::Value;

    use super::{Document, write};
    use crate::{
        model::finding::{Class, Resource, Verdict},
        present::findings::sample,
    };

    fn problems(document: &Value) -> Vec<String> {
        let schema = serde_json::from_str(include_str!("../../../../docs/schema/findings.json"))
            .expect("the schema is JSON");
        let validator: Validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
        let problem = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(document).map(problem).collect()
    }

    fn written(document: &Document) -> Value {
        let mut out = Vec::new();
        write(document, &mut out).expect("memory takes writes");
        serde_json::from_slice(&out).expect("a document is JSON")
    }

    #[test]
    fn documents_conform_to_the_published_schema_and_read_back_as_written() {
        for document in [sample::document(), sample::incomplete(), sample::hostile()] {
            let written = written(&document);
            assert_eq!(problems(&written), [""; 0]);
            let read: Document = serde_json::from_value(written).expect("it reads back");
            assert_eq!(read, document);
        }
    }

    #[test]
    fn every_word_is_in_the_schema() {
        let mut document = sample::document();
        let classes = [
            Class::WarmUp,
            Class::Saturating,
            Class::SawTooth,
            Class::Fragmentation,
            Class::PoolFill,
            Class::FollowsLoad,
            Class::NotEnoughData,
        ];
        let words = Verdict::ALL
            .into_iter()
            .zip(classes)
            .chain([(Verdict::Growing, Class::NotEnoughData)]);
        for (at, (verdict, class)) in words.enumerate() {
            document.findings[0].verdict = verdict;
            document.findings[0].class = Some(class);
            document.findings[0].resource = Resource::ALL[at % Resource::ALL.len()];
            assert_eq!(problems(&written(&document)), [""; 0]);
        }
    }

    #[test]
    fn the_schema_names_every_field_and_allows_no_other() {
        let whole = written(&sample::document());
        for path in objects(&whole, "") {
            let mut extra = whole.clone();
            extra.pointer_mut(&path).expect("the path was found in it")["surprise"] = Value::Null;
            assert!(
                !problems(&extra).is_empty(),
                "{path} takes a field that the schema does not name"
            );
            let fields = whole.pointer(&path).and_then(Value::as_object);
            for name in fields.expect("an object").keys() {
                let mut less = whole.clone();
                let object = less.pointer_mut(&path).and_then(Value::as_object_mut);
                object.expect("an object").remove(name);
                assert!(!problems(&less).is_empty(), "{path} does without {name}");
            }
        }
    }

    /// JSON pointers of every object in the document.
    fn objects(value: &Value, path: &str) -> Vec<String> {
        match value {
            Value::Object(fields) => std::iter::once(path.to_owned())
                .chain(
                    fields
                        .iter()
                        .flat_map(|(name, below)| objects(below, &format!("{path}/{name}"))),
                )
                .collect(),
            Value::Array(items) => (0..)
                .zip(items)
                .flat_map(|(at, below)| objects(below, &format!("{path}/{at}")))
                .collect(),
            _ => Vec::new(),
        }
    }
}
