//! Signs, colours and amounts that the formats share.

use std::borrow::Cow;

use crate::{
    model::finding::{Resource, Verdict},
    present::{text, units},
};

/// What a terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether colours may be used.
    pub color: bool,
    /// Whether nothing outside ASCII may be used.
    pub ascii: bool,
}

/// What a piece of text is, and so how it looks. Nothing is said by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Style {
    /// Text chosen by somebody else, as this terminal can show it.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        let safe = text::printable(text);
        if self.ascii && !safe.is_ascii() {
            Cow::Owned(text::ascii(&safe).into_owned())
        } else {
            safe
        }
    }

    pub(super) fn paint(self, role: Role, text: &str) -> String {
        let code = match role {
            Role::Good => "32",
            Role::Warning => "1;33",
            Role::Bad => "1;31",
            Role::Quiet => "2",
        };
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn verdict(self, verdict: Verdict) -> (&'static str, Role) {
        let pick = |unicode, ascii| if self.ascii { ascii } else { unicode };
        match verdict {
            Verdict::Leaking => (pick("✖", "x"), Role::Bad),
            Verdict::Suspected => ("!", Role::Warning),
            Verdict::Growing => (pick("▲", "^"), Role::Warning),
            Verdict::Recovered | Verdict::Healthy => (pick("✔", "+"), Role::Good),
            Verdict::Ended => (pick("·", "."), Role::Quiet),
        }
    }
}

/// How much of a resource.
pub(super) fn amount(resource: Resource, amount: u64) -> String {
    match resource {
        Resource::Memory => units::bytes(amount),
        Resource::Fd | Resource::Thread | Resource::Maps => amount.to_string(),
    }
}

/// A rate in the unit of time that keeps it readable; always signed.
pub(super) fn rate(resource: Resource, per_second: f64) -> String {
    let sign = if per_second < 0.0 { '-' } else { '+' };
    let size = if per_second.is_finite() {
        per_second.abs()
    } else {
        0.0
    };
    let worth_showing = match resource {
        Resource::Memory => 1024.0,
        Resource::Fd | Resource::Thread | Resource::Maps => 1.0,
    };
    let (size, unit) = match size {
        size if size >= worth_showing => (size, "s"),
        size if size * 60.0 >= worth_showing => (size * 60.0, "min"),
        size => (size * 3600.0, "h"),
    };
    match resource {
        Resource::Memory => format!("{sign}{}/{unit}", units::bytes(saturated(size.round()))),
        Resource::Fd | Resource::Thread | Resource::Maps => format!("{sign}{size:.1}/{unit}"),
    }
}

/// A length of time.
pub(super) fn seconds(seconds: f64) -> String {
    units::duration(saturated(seconds * 1e9))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below 0 is 0, and what is too large is the largest: nobody reads the difference"
)]
fn saturated(value: f64) -> u64 {
    value as u64
}

pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{Resource, rate, seconds};

    #[test]
    fn rates_are_readable_and_finite() {
        let shown = [3.1, 0.05, 0.000_3, -2.0, 0.0, f64::NAN].map(|value| rate(Resource::Fd, value));
        assert_eq!(
            shown,
            ["+3.1/s", "+3.0/min", "+1.1/h", "-2.0/s", "+0.0/h", "+0.0/h"]
        );
        assert_eq!(rate(Resource::Memory, 20_971.52), "+20.5 KiB/s");
        assert_eq!(rate(Resource::Memory, 20.0), "+1.17 KiB/min");
    }

    #[test]
    fn times_below_zero_are_now() {
        assert_eq!(seconds(-1.0), "0ns");
        assert_eq!(seconds(60.0), "1m00s");
    }
}
