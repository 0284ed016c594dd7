//! Names the code that states were made by.

use std::fmt::{self, Display};

/// Names a version of an aggregate's source.
///
/// A stored state is only of use to the code that would make the same one of
/// the same events. Whether a change keeps that so is hard to tell, and to
/// forget to tell would be worse; so a state fits the very source that made it,
/// and no other. What does not fit is made anew from the events.
///
/// The number is the FNV-1a hash of 64 bits
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of these source files, which are all that decide what an
    /// aggregate's state looks like and what its events do to it.
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
    fn the_hash_is_the_published_one() {
        let written = |source| Fingerprint::of(&[source]).to_string();
        assert_eq!(written(""), "cbf29ce484222325");
        assert_eq!(written("a"), "af63dc4c8601ec8c");
        assert_eq!(written("foobar"), "85944171f73967e8");
    }

    #[test]
    fn any_change_to_any_file_changes_it() {
        let before = Fingerprint::of(&["one", "two"]);
        assert_ne!(before, Fingerprint::of(&["one", "two "]));
        assert_ne!(before, Fingerprint::of(&["One", "two"]));
    }
}
