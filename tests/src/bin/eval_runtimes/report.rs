//! The table.

use std::{fmt::Write as _, time::Duration};

use leakwatch_tests::markdown::Table;

use crate::{judge::Row, program::Form};

/// The table and the sums below it, as Markdown.
pub(crate) fn text(rows: &[Row], watched: Duration) -> String {
    let mut table = Table::new([
        "program", "form", "leaks", "verdict", "named as", "by", "after, s", "",
    ]);
    for row in rows {
        let subject = &row.subject;
        let named = row.named().filter(|_| subject.form == Form::Leaky);
        let leaks = subject.case.resource.filter(|_| subject.form == Form::Leaky);
        let at = row.named_at().filter(|_| named.is_some());
        table.row([
            format!("{} {} {}", subject.runtime, subject.version, subject.case.name),
            subject.form.name().to_owned(),
            leaks.map_or("-", |resource| resource.name()).to_owned(),
            row.verdict().name().to_owned(),
            named
                .as_ref()
                .map_or("-".to_owned(), |named| format!("`{}`", named.name)),
            named.as_ref().map_or("-", |named| named.how).to_owned(),
            at.map_or("-".to_owned(), |at| at.as_secs().to_string()),
            outcome(row),
        ]);
    }
    let mut text = table.render();
    let count = |form: Form, right: bool| {
        let of = rows.iter().filter(|row| row.subject.form == form);
        of.filter(|row| !right || row.is_right()).count()
    };
    let mut said = Vec::new();
    for (form, what) in [
        (Form::Leaky, "leaks are named"),
        (Form::Fixed, "fixed twins are quiet"),
        (Form::Healthy, "healthy growers are quiet"),
    ] {
        let all = count(form, false);
        if all > 0 {
            said.push(format!("{} of {all} {what}", count(form, true)));
        }
    }
    let _infallible = writeln!(
        text,
        "\n{}; each was watched for {} s.",
        said.join(", "),
        watched.as_secs()
    );
    text
}

fn outcome(row: &Row) -> String {
    match (
        &row.broken,
        row.is_right(),
        &row.subject.case.unsupported,
        row.subject.form,
    ) {
        (Some(_), ..) => "BROKEN".to_owned(),
        (None, true, _, Form::Leaky) => "named".to_owned(),
        (None, true, ..) => "quiet".to_owned(),
        (None, false, Some(why), Form::Leaky) => format!("not supported: {why}"),
        (None, false, None, Form::Leaky) => "NOT NAMED".to_owned(),
        (None, false, ..) => "FALSE ALARM".to_owned(),
    }
}
