//! Pauses between attempts that fail one after another.
//!
//! A caller counts its failed attempts, and begins again at one after a success. The count may be
//! stored, so that a pause grows over a restart.

use std::time::Duration;

/// Pauses that double with each failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The pause after the first attempt.
    pub(crate) first: Duration,
    /// The pauses grow up to this one.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after this many failed attempts.
    pub(crate) fn after(self, attempts: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempts.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        };
        let pauses = [0, 1, 2, 3, 6, 7, 8, 33, u32::MAX].map(|attempts| backoff.after(attempts));
        let expected = [1, 1, 2, 4, 32, 60, 60, 60, 60];
        assert_eq!(pauses, expected.map(Duration::from_secs));
    }
}
