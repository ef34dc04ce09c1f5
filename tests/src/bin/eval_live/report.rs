//! All rows, and what they come to.

use std::fmt::Write as _;

use leakwatch_tests::markdown::Table;

use crate::{
    judge::{Credit, Outcome},
    program::Form,
    row::{PROGRAM, Row, SAID},
    suite::Suite,
};

/// The table of what the programs really do, as Markdown.
pub(crate) fn programs(rows: &[Row]) -> String {
    let mut table = Table::new(PROGRAM);
    for row in rows {
        table.row(row.program());
    }
    table.render()
}

/// The table and the sums below it, as Markdown.
pub(crate) fn text(suite: &Suite) -> String {
    let rows = &suite.rows;
    let mut table = Table::new(PROGRAM.into_iter().chain(SAID));
    for row in rows {
        table.row(row.program().into_iter().chain(row.said()));
    }
    let mut text = table.render();
    let count = |wanted: Outcome| rows.iter().filter(|row| row.outcome == wanted).count();
    let of = |form: Form| rows.iter().filter(|row| row.form == form).count();
    let credits: Vec<Credit> = rows.iter().filter_map(Row::credit).collect();
    let right = credits.iter().filter(|credit| **credit != Credit::None).count();
    let days = suite.healthy.as_secs_f64() / 86_400.0;
    let _infallible = write!(
        text,
        "\nOf {} leaks {} are found, {} suspected and {} missed; of {} fixed twins and {} healthy growers {} are falsely \
         suspected, in {days:.2} process-days. The leaking function is in the first stack of {right} of the {} that are \
         at least suspected.\n",
        of(Form::Leaky),
        count(Outcome::Found),
        count(Outcome::Suspected),
        count(Outcome::Missed),
        of(Form::Fixed),
        of(Form::Grower),
        count(Outcome::FalseAlarm),
        credits.len(),
    );
    for (programs, feed) in &suite.feeds {
        let _infallible = writeln!(
            text,
            "\n{programs} of them side by side: leakwatch took {} records and lost {}; it took {} stacks, and left {} to \
             its budget.",
            feed.records, feed.dropped, feed.stacks_taken, feed.stacks_shed
        );
    }
    text
}

/// The rows that fail the run, one a line.
pub(crate) fn failures(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .filter(|row| row.fails())
        .map(|row| {
            format!(
                "{} ({}): {}",
                row.case.name,
                row.form.name(),
                row.outcome.name().to_lowercase()
            )
        })
        .collect()
}
