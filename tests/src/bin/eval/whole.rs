//! Whole numbers out of others. What is negative or no number becomes 0.

/// A count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(crate) fn count(value: f64) -> usize {
    value as usize
}

/// Bytes or nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(crate) fn amount(value: f64) -> u64 {
    value as u64
}
