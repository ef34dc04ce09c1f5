//! Which columns of the process table fit a width.

use super::fields::{ColumnShape, FIELDS, Field, FieldId};

/// One column as it is to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What it shows.
    pub field: &'static Field,
    /// Terminal columns it takes.
    pub width: u16,
}

/// From this rank on a column is nice to have: it is shown only where no other has to be narrow for it.
const NICE: u8 = 7;

/// The columns that fit `width` with one blank between neighbours. The least important go first; room that is left goes
/// to those that make use of it, from the left.
pub fn fitting(width: u16) -> Vec<Column> {
    let mut chosen: Vec<_> = FIELDS
        .iter()
        .filter_map(|field| field.shape.map(|shape| (field, shape)))
        .collect();
    let needed = |chosen: &[(_, ColumnShape)]| -> u16 {
        let nice = chosen.iter().any(|(_, shape)| shape.rank >= NICE);
        let width = |shape: &ColumnShape| {
            if nice {
                shape.most.max(shape.width)
            } else {
                shape.width
            }
        };
        chosen.iter().map(|(_, shape)| width(shape)).sum::<u16>() + gaps(chosen.len())
    };
    while needed(&chosen) > width {
        let last = chosen.iter().enumerate().max_by_key(|(_, (_, shape))| shape.rank);
        match last.map(|(at, _)| at) {
            Some(at) if chosen.len() > 1 => drop(chosen.remove(at)),
            _ => break,
        }
    }
    let taken: u16 = chosen.iter().map(|(_, shape)| shape.width).sum();
    let mut spare = width.saturating_sub(taken + gaps(chosen.len()));
    chosen
        .into_iter()
        .map(|(field, shape)| {
            let wish = if shape.most == 0 {
                spare
            } else {
                shape.most.saturating_sub(shape.width)
            };
            let extra = wish.min(spare);
            spare -= extra;
            Column {
                field,
                width: shape.width + extra,
            }
        })
        .collect()
}

/// Blanks between so many neighbours.
fn gaps(columns: usize) -> u16 {
    u16::try_from(columns).unwrap_or(u16::MAX).saturating_sub(1)
}

/// As [`fitting`], for a screen: whether a sign for the verdict stands before the columns, which is so when there is no
/// room for the verdict in words, and the columns.
pub fn fitting_with_sign(width: u16) -> (bool, Vec<Column>) {
    let columns = fitting(width);
    if columns.iter().any(|column| column.field.id == FieldId::State) {
        (false, columns)
    } else {
        (true, fitting(width.saturating_sub(SIGN_WIDTH)))
    }
}

/// The sign and the blank after it.
pub const SIGN_WIDTH: u16 = 2;

/// The fields that can be a column, in their order.
pub fn all() -> impl Iterator<Item = FieldId> {
    FIELDS
        .iter()
        .filter(|field| field.shape.is_some())
        .map(|field| field.id)
}

#[cfg(test)]
mod tests {
    use super::fitting;
    use crate::present::fields::FieldId;

    fn ids(width: u16) -> Vec<FieldId> {
        fitting(width).iter().map(|column| column.field.id).collect()
    }

    #[test]
    fn forty_columns_show_who_and_how_much() {
        assert_eq!(
            ids(40),
            [FieldId::Pid, FieldId::Name, FieldId::Rss, FieldId::Growth]
        );
    }

    #[test]
    fn eighty_columns_show_every_resource_and_the_verdict() {
        let ids = ids(80);
        for id in [FieldId::Fds, FieldId::FdGrowth, FieldId::Threads, FieldId::State] {
            assert!(ids.contains(&id), "{id:?}");
        }
    }

    #[test]
    fn what_is_nice_to_have_squeezes_nothing() {
        for width in 40..300 {
            let columns = fitting(width);
            let name = columns.iter().find(|column| column.field.id == FieldId::Name);
            let user = columns.iter().any(|column| column.field.id == FieldId::User);
            assert!(!user || name.is_some_and(|name| name.width == 15), "{width}");
        }
    }

    #[test]
    fn columns_never_take_more_than_there_is() {
        for width in 40..300 {
            let columns = fitting(width);
            let taken: u16 = columns.iter().map(|column| column.width + 1).sum::<u16>() - 1;
            assert!(taken <= width, "{taken} of {width}");
        }
    }
}
