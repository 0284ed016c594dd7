//! The addresses of messages: keys, and expressions that match many keys.
//!
//! Both follow Zenoh's key expressions
//! (<https://github.com/eclipse-zenoh/roadmap/blob/main/rfcs/ALL/Key%20Expressions.md>): chunks
//! that are not empty, joined by `/`. `*` stands for any one chunk, `**` for any number of
//! chunks, including none. Wildcards inside a chunk (`$*`) and verbatim chunks (`@…`) are left
//! out on purpose, because ironstar does not need them.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::StreamId;

/// The address of a message: an expression without wildcards.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key(String);

/// An expression that matches keys. It is always in canonical form: it contains no `**/**`, and
/// instead of `**/*` it has `*/**`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyExpr(String);

/// The reasons why a text is not a [`KeyExpr`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyExprError {
    /// The text is empty, or has a leading, trailing or doubled `/`.
    #[error("a key expression is made of chunks joined by single '/', none of them empty")]
    EmptyChunk,
    /// A chunk contains a reserved or a control character.
    #[error(
        "the chunk {chunk:?} is not allowed: '*' and '**' stand alone, and '#', '?', '$', '@' and control characters are reserved"
    )]
    Reserved {
        /// The chunk.
        chunk: String,
    },
    /// The text has more than [`KeyExpr::MAX_BYTES`] bytes.
    #[error("a key expression has at most {max} bytes", max = KeyExpr::MAX_BYTES)]
    TooLong,
}

const EVENTS: &str = "events";
/// The first chunk after `events` in the keys of sessions. No aggregate type equals it, because
/// types begin with a capital letter.
const SESSION: &str = "session";
const ONE: &str = "*";
const MANY: &str = "**";

impl Key {
    /// The key of hints about a stream's events: `events/{type}/{id}`. All characters except
    /// letters, digits and `-._~` are percent-encoded.
    #[must_use]
    pub fn of_stream(stream: &StreamId) -> Self {
        Self(format!(
            "{EVENTS}/{}/{}",
            encode(&stream.aggregate_type),
            encode(&stream.aggregate_id)
        ))
    }

    /// The second key of hints about a part of another aggregate: `events/{parent's
    /// type}/{parent's id}/{type}/{id}`. So a subscriber of `events/{parent's type}/{parent's
    /// id}/**` gets the hints of an aggregate and of all its parts.
    #[must_use]
    pub fn of_part(parent: &StreamId, stream: &StreamId) -> Self {
        Self(format!(
            "{}/{}/{}",
            Self::of_stream(parent),
            encode(&stream.aggregate_type),
            encode(&stream.aggregate_id)
        ))
    }

    /// The key of messages to a single visitor: `events/session/{session}/{topic}`.
    #[must_use]
    pub fn of_session(session: &str, topic: &str) -> Self {
        Self(format!(
            "{EVENTS}/{SESSION}/{}/{}",
            encode(session),
            encode(topic)
        ))
    }

    /// Returns the session and the topic of a key from [`of_session`](Self::of_session). They are
    /// not decoded, so they must not need percent-encoding.
    #[must_use]
    pub fn session_in(key: &str) -> Option<(&str, &str)> {
        let rest = key.strip_prefix(EVENTS)?.strip_prefix('/')?;
        let rest = rest.strip_prefix(SESSION)?.strip_prefix('/')?;
        rest.split_once('/')
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyExpr {
    /// The most bytes in an expression.
    pub const MAX_BYTES: usize = 512;

    /// The events of every aggregate: `events/**`.
    #[must_use]
    pub fn all_events() -> Self {
        Self(format!("{EVENTS}/{MANY}"))
    }

    /// The messages to any single visitor: `events/session/**`.
    #[must_use]
    pub fn all_sessions() -> Self {
        Self(format!("{EVENTS}/{SESSION}/{MANY}"))
    }

    /// The events of every aggregate of a type: `events/{type}/**`.
    #[must_use]
    pub fn of_type(aggregate_type: &str) -> Self {
        Self(format!("{EVENTS}/{}/{MANY}", encode(aggregate_type)))
    }

    /// The events of one aggregate: `events/{type}/{id}`.
    #[must_use]
    pub fn of_stream(stream: &StreamId) -> Self {
        Self(Key::of_stream(stream).0)
    }

    /// The events of one aggregate and of all its parts: `events/{type}/{id}/**`.
    #[must_use]
    pub fn of_whole(stream: &StreamId) -> Self {
        Self(format!("{}/{MANY}", Key::of_stream(stream)))
    }

    /// The expression as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the expression matches the key.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let key: Vec<&str> = key.0.split('/').collect();
        // The place to resume when a chunk does not match: the last `**`, which then takes one
        // chunk more.
        let mut resume: Option<(usize, usize)> = None;
        let (mut p, mut k) = (0, 0);
        while k < key.len() {
            match pattern.get(p) {
                Some(&MANY) => {
                    resume = Some((p, k));
                    p += 1;
                }
                Some(&chunk) if chunk == ONE || chunk == key[k] => {
                    p += 1;
                    k += 1;
                }
                Some(_) | None => {
                    let Some((many, taken)) = resume else {
                        return false;
                    };
                    (p, k) = (many, taken + 1);
                }
            }
        }
        pattern[p..].iter().all(|&chunk| chunk == MANY)
    }
}

impl KeyExpr {
    /// Returns true if the expression can match the key of an event of these types. The key may be
    /// the event's own key, or its key as a part of an aggregate of these types.
    #[must_use]
    pub fn may_match_types(&self, types: &[&str]) -> bool {
        let types: Vec<String> = types.iter().map(|it| encode(it)).collect();
        types.iter().any(|own| {
            let is_part_of = |parent: &String| self.may_match(&[EVENTS, parent, ONE, own, ONE]);
            self.may_match(&[EVENTS, own, ONE]) || types.iter().any(is_part_of)
        })
    }

    /// Returns true if the expression can match a key of these chunks. A `*` among the chunks
    /// stands for any one chunk.
    fn may_match(&self, chunks: &[&str]) -> bool {
        // At each index: true if the patterns so far can match exactly that many chunks.
        let mut reached = vec![false; chunks.len() + 1];
        reached[0] = true;
        for pattern in self.0.split('/') {
            if pattern == MANY {
                let first = reached.iter().position(|it| *it).unwrap_or(reached.len());
                reached[first..].fill(true);
                continue;
            }
            for index in (0..chunks.len()).rev() {
                let fits = pattern == ONE || chunks[index] == ONE || chunks[index] == pattern;
                reached[index + 1] = reached[index] && fits;
            }
            reached[0] = false;
        }
        reached[chunks.len()]
    }
}

impl FromStr for KeyExpr {
    type Err = KeyExprError;

    fn from_str(text: &str) -> Result<Self, KeyExprError> {
        if text.len() > Self::MAX_BYTES {
            return Err(KeyExprError::TooLong);
        }
        let mut canonical: Vec<&str> = Vec::new();
        let mut many = false;
        for chunk in text.split('/') {
            check(chunk)?;
            if chunk == MANY {
                many = true;
                continue;
            }
            if many && chunk != ONE {
                canonical.push(MANY);
                many = false;
            }
            canonical.push(chunk);
        }
        if many {
            canonical.push(MANY);
        }
        Ok(Self(canonical.join("/")))
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn check(chunk: &str) -> Result<(), KeyExprError> {
    if chunk.is_empty() {
        return Err(KeyExprError::EmptyChunk);
    }
    if chunk == ONE || chunk == MANY {
        return Ok(());
    }
    let reserved = |c: char| matches!(c, '*' | '#' | '?' | '$' | '@') || c.is_control();
    if chunk.contains(reserved) {
        return Err(KeyExprError::Reserved {
            chunk: chunk.to_owned(),
        });
    }
    Ok(())
}

/// Percent-encodes all characters except the unreserved ones of RFC 3986, section 2.3.
fn encode(chunk: &str) -> String {
    let mut encoded = String::with_capacity(chunk.len());
    for byte in chunk.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
