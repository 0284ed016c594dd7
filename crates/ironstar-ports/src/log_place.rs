//! Places in the log: positions with a mark of the log's history.
//!
//! A restored backup takes the log back, and later events get positions that other events had
//! before. So a position alone tells nothing to a client, a cache or a checkpoint that is older
//! than the restore. A place adds a [`Mark`], which is derived from the event at that position.
//! The mark needs no storage, so even the plain copy of a database file is noticed.

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Envelope, Position};

/// Crockford's base32 (<https://www.crockford.com/base32.html>), in lower case. No letter looks
/// like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The number of bits in one character of a mark.
const BITS: u32 = 5;

/// A short mark of an event's identity: 30 bits, written as six characters.
///
/// The mark is the exclusive or of the four 32-bit words of the event's id, cut to 30 bits. The
/// last word of a UUID of version 7 is random (RFC 9562, section 6.2), so the mark is as good as
/// random. Two events have the same mark once in 2³⁰ (10⁹) comparisons. A mark is not a secret. It
/// protects from mistakes, not from attackers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mark(u32);

/// A position together with the mark of its event. It stands for all events up to there, in this
/// history. Its text form is `120.k3f9a2`, or `120` if the mark is unknown.
///
/// [`LogPlace::START`] has no mark, because all histories begin there.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct LogPlace {
    /// The position.
    pub position: Position,
    /// The mark of the event at the position. It is `None` at the start, for an event that cannot
    /// be read, and for a position that was stored without a mark.
    pub mark: Option<Mark>,
}

/// The error for a text that is not a [`LogPlace`] or a [`Mark`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a place in the log is a position, such as 120, or a position and its mark, such as 120.k3f9a2"
)]
pub struct LogPlaceError;

impl Mark {
    /// The number of characters in a mark.
    pub const LENGTH: usize = 6;

    /// Returns the mark of the event with this id.
    #[must_use]
    pub const fn of(event_id: Uuid) -> Self {
        let id = event_id.as_u128();
        let words = (id >> 64) as u64 ^ id as u64;
        let word = (words >> 32) as u32 ^ words as u32;
        Self(word & ((1 << (BITS * Self::LENGTH as u32)) - 1))
    }
}

impl LogPlace {
    /// The place before the first event, in every history.
    pub const START: Self = Self::unmarked(Position::START);

    /// A position with an unknown mark.
    #[must_use]
    pub const fn unmarked(position: Position) -> Self {
        Self {
            position,
            mark: None,
        }
    }

    /// The place of the event with this id.
    #[must_use]
    pub const fn of(position: Position, event_id: Uuid) -> Self {
        Self {
            position,
            mark: Some(Mark::of(event_id)),
        }
    }

    /// Returns false if both places have the same position but different marks, so that they
    /// belong to different histories. Returns true otherwise.
    #[must_use]
    pub fn agrees_with(self, other: Self) -> bool {
        let marks = self.mark.zip(other.mark);
        self.position != other.position || marks.is_none_or(|(mark, other)| mark == other)
    }

    /// Returns the later of two places in one history. If the positions are equal, returns the
    /// place with a mark.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        let order = |place: Self| (place.position, place.mark.is_some());
        match order(self).cmp(&order(other)) {
            Ordering::Less => other,
            Ordering::Equal | Ordering::Greater => self,
        }
    }

    /// Returns the earlier of two places in one history. If the positions are equal, returns the
    /// place with a mark.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match self.position.cmp(&other.position) {
            Ordering::Less => self,
            Ordering::Equal => self.later(other),
            Ordering::Greater => other,
        }
    }
}

impl Envelope {
    /// Returns the event's place in the log.
    #[must_use]
    pub const fn place(&self) -> LogPlace {
        LogPlace::of(self.position, self.metadata.event_id)
    }
}

impl From<Position> for LogPlace {
    fn from(position: Position) -> Self {
        Self::unmarked(position)
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = self.0;
        let mut text = [0; Self::LENGTH];
        for letter in text.iter_mut().rev() {
            *letter = ALPHABET[(bits & ((1 << BITS) - 1)) as usize];
            bits >>= BITS;
        }
        f.write_str(str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for Mark {
    type Err = LogPlaceError;

    fn from_str(text: &str) -> Result<Self, LogPlaceError> {
        if text.len() != Self::LENGTH {
            return Err(LogPlaceError);
        }
        let digits = text.bytes().map(|byte| {
            let digit = ALPHABET.iter().position(|letter| *letter == byte);
            digit.ok_or(LogPlaceError)
        });
        let bits = digits
            .map(|digit| Ok(digit? as u32))
            .try_fold(0, |bits, digit: Result<u32, _>| Ok((bits << BITS) + digit?))?;
        Ok(Self(bits))
    }
}

impl Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.position, f)?;
        self.mark.map_or(Ok(()), |mark| write!(f, ".{mark}"))
    }
}

impl FromStr for LogPlace {
    type Err = LogPlaceError;

    fn from_str(text: &str) -> Result<Self, LogPlaceError> {
        let (position, mark) = match text.split_once('.') {
            Some((position, mark)) => (position, Some(mark.parse()?)),
            None => (text, None),
        };
        // Rust's integer parser accepts a sign, which is not allowed here.
        let is_number = position.bytes().all(|byte| byte.is_ascii_digit());
        let position = position.parse().ok().filter(|_| is_number);
        let position = Position::new(position.ok_or(LogPlaceError)?);
        if position == Position::START && mark.is_some() {
            return Err(LogPlaceError);
        }
        Ok(Self { position, mark })
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for LogPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{LogPlace, LogPlaceError, Mark};
    use crate::Position;

    fn place(position: u64, id: u128) -> LogPlace {
        LogPlace::of(Position::new(position), Uuid::from_u128(id))
    }

    #[test]
    fn place_round_trips_through_text() {
        let id = Uuid::from_u128(0x0193_37a4_7b2f_7c61_9d0e_2f5a_8b1c_3d4e);
        let marked = LogPlace::of(Position::new(120), id);
        assert_eq!(marked.to_string(), "120.pawpeh");
        let last = place(u64::MAX, u128::MAX >> 32);
        for place in [
            marked,
            last,
            place(1, 0),
            LogPlace::START,
            Position::new(7).into(),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place), "{place}");
        }
        assert_eq!(LogPlace::START.to_string(), "0");
    }

    #[test]
    fn malformed_place_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".k3f9a2",
            "+1",
            "-1",
            "1.k3f9a",
            "1.k3f9a22",
            "1.K3F9A2",
            "1.k3f9au",
            "1.k3f9a2.",
            "0.000000",
            "1 ",
            "18446744073709551616",
            "1.k3f9é",
        ] {
            assert_eq!(text.parse::<LogPlace>(), Err(LogPlaceError), "{text:?}");
        }
    }

    #[test]
    fn marks_differ_in_each_random_bit_of_the_id() {
        let mark = |id| Mark::of(Uuid::from_u128(id));
        let marks = (0..30).map(|bit| mark(1 << bit));
        let marks: std::collections::HashSet<_> = marks.chain([mark(0)]).collect();
        assert_eq!(marks.len(), 31);
    }

    #[test]
    fn places_disagree_only_by_their_marks() {
        let unmarked = LogPlace::unmarked(Position::new(1));
        assert!(place(1, 1).agrees_with(place(1, 1)));
        assert!(!place(1, 1).agrees_with(place(1, 2)));
        assert!(place(1, 1).agrees_with(place(2, 2)));
        assert!(place(1, 1).agrees_with(unmarked) && unmarked.agrees_with(place(1, 1)));
        assert_eq!(unmarked.later(place(1, 1)), place(1, 1));
        assert_eq!(place(1, 1).later(unmarked), place(1, 1));
        let next = Position::new(2).into();
        assert_eq!(place(1, 1).earlier(next), place(1, 1));
        assert_eq!(next.earlier(place(1, 1)), place(1, 1));
        assert_eq!(unmarked.earlier(place(1, 1)), place(1, 1));
        assert_eq!(place(1, 1).later(Position::new(2).into()).position.get(), 2);
    }
}
