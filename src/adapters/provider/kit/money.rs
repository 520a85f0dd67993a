//! Money as vendors write it.

/// Millionths, as whole numbers. What does not fit is the nearest number that does, and a credit is nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of money, rounded")]
pub fn micro(amount: f64) -> u64 {
    (amount * 1e6).round() as u64
}
