//! Lines that are chained by their hashes, so that no line can be changed, lost or moved unnoticed.
//!
//! A line is one JSON object. Its last field is `hash`: the SHA-256 (FIPS 180-4), in hexadecimal
//! digits, of the hash of the line before and of the object without this field. Before the
//! first line, the hash is 64 zeros.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What stands before and after the hash in a line.
const BEFORE: &str = ",\"hash\":\"";
const AFTER: &str = "\"}";

const DIGITS: usize = 64;

/// The lines so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Chain(String);

/// A line does not continue the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the line does not match its hash: it was changed, or a line before it is missing")]
pub(super) struct BrokenChain;

impl Chain {
    /// No lines.
    pub(super) fn new() -> Self {
        Self("0".repeat(DIGITS))
    }

    /// Makes the next line of an object.
    pub(super) fn seal(&mut self, object: &str) -> String {
        self.0 = self.next(object);
        let open = object.strip_suffix('}').unwrap_or(object);
        format!("{open}{BEFORE}{}{AFTER}", self.0)
    }

    /// Returns the object of the next line.
    pub(super) fn unseal(&mut self, line: &str) -> Result<String, BrokenChain> {
        let rest = line.strip_suffix(AFTER).ok_or(BrokenChain)?;
        let split = rest.len().checked_sub(DIGITS).ok_or(BrokenChain)?;
        let (rest, hash) = rest.split_at_checked(split).ok_or(BrokenChain)?;
        let open = rest.strip_suffix(BEFORE).ok_or(BrokenChain)?;
        let object = format!("{open}}}");
        let expected = self.next(&object);
        if hash != expected {
            return Err(BrokenChain);
        }
        self.0 = expected;
        Ok(object)
    }

    fn next(&self, object: &str) -> String {
        let hash = Sha256::new()
            .chain_update(&self.0)
            .chain_update(object)
            .finalize();
        hash.iter().fold(String::new(), |mut digits, byte| {
            // A String takes everything.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes of another program: `printf '%064d%s' 0 '{"a":1}' | sha256sum`, and so on.
    #[test]
    fn lines_have_the_hashes_of_another_program() {
        let mut chain = Chain::new();
        assert_eq!(chain.seal(r#"{"a":1}"#), FIRST);
        assert_eq!(chain.seal(r#"{"b":"}"}"#), SECOND);
        let mut chain = Chain::new();
        assert_eq!(chain.unseal(FIRST).as_deref(), Ok(r#"{"a":1}"#));
        assert_eq!(chain.unseal(SECOND).as_deref(), Ok(r#"{"b":"}"}"#));
    }

    #[test]
    fn changed_lost_and_moved_lines_are_noticed() {
        let changed = FIRST.replace(":1", ":2");
        for line in [
            &changed,
            SECOND,
            "",
            "{}",
            "{\"hash\":\"\"}",
            &FIRST[..80],
            "ä",
        ] {
            assert_eq!(Chain::new().unseal(line), Err(BrokenChain), "{line}");
        }
        let mut chain = Chain::new();
        chain.unseal(FIRST).expect("the first line");
        assert_eq!(chain.unseal(FIRST), Err(BrokenChain));
        // A line that is refused changes nothing.
        chain.unseal(SECOND).expect("the second line");
    }

    const FIRST: &str =
        r#"{"a":1,"hash":"fc6cee09194dd2578bd7664604fcb72a539066fd34544cea0009c43eb6cdc289"}"#;
    const SECOND: &str =
        r#"{"b":"}","hash":"6c673134365f668cb98056002a8c5b0197ff6676ab82f166105eb9f28148bdb9"}"#;
}
