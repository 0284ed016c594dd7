//! Fingerprints of source code, which tell whether a snapshot is still usable.

use std::fmt::{self, Display};

/// A hash of an aggregate's source code.
///
/// A stored state is usable only if today's code would fold the same state from the same events.
/// It is hard to judge whether a change of the code preserves that, and easy to forget to judge.
/// So a state is used only by exactly the source code that made it. Every other state is folded
/// again from the events.
///
/// The number is the 64-bit FNV-1a hash
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Hashes these source files. They must include all code that determines the form of an
    /// aggregate's state, and the effect of events on it.
    ///
    /// ```
    /// # use ironstar_domain::Fingerprint;
    /// const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("fingerprint.rs")]);
    /// ```
    #[must_use]
    pub const fn of(sources: &[&str]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut file = 0;
        while file < sources.len() {
            let bytes = sources[file].as_bytes();
            let mut at = 0;
            while at < bytes.len() {
                hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
                at += 1;
            }
            file += 1;
        }
        Self(hash)
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn hash_is_64_bit_fnv_1a() {
        let written = |source| Fingerprint::of(&[source]).to_string();
        assert_eq!(written(""), "cbf29ce484222325");
        assert_eq!(written("a"), "af63dc4c8601ec8c");
        assert_eq!(written("foobar"), "85944171f73967e8");
    }

    #[test]
    fn fingerprint_changes_with_any_change_of_any_file() {
        let before = Fingerprint::of(&["one", "two"]);
        assert_ne!(before, Fingerprint::of(&["one", "two "]));
        assert_ne!(before, Fingerprint::of(&["One", "two"]));
    }
}
