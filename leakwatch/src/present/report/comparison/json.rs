//! For a program: the comparison itself (`docs/reports.md`).

use std::io::{self, Write};

use serde::Serialize;

use crate::model::snapshot::SCHEMA_VERSION;
use crate::present::recording::compare::Comparison;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    tool_version: &'static str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// Writes all of it.
///
/// # Errors
/// What the writer says.
pub fn write(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        comparison,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
