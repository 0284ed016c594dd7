//! One line of text that a person has typed, such as the name of a user.
//!
//! New input goes through [`parse`], which normalizes it to Unicode form C, so that two lines
//! that look alike are equal. [`stored`] reads a stored line, even one that today's rules refuse:
//! a new rule must not make an old event unreadable.

use std::fmt::Display;
use std::str::FromStr;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Deserializer};

use crate::characters::{is_control, is_hidden, is_out_of_place, piles_up, shows, turns};

/// The most hidden characters in a row. An emoji needs two: a variation selector and a joiner.
const MOST_HIDDEN: usize = 2;

/// The flag of a region consists of a black flag, the region's code in three to six tags, and the
/// last tag (UTS #51, annex C).
const BLACK_FLAG: char = '\u{1f3f4}';
const REGION: std::ops::RangeInclusive<usize> = 3..=6;
const LAST_TAG: char = '\u{e007f}';

/// The limits of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The most characters (Unicode scalar values) in the line.
    pub(crate) max_chars: usize,
    /// The most marks on one character.
    pub(crate) max_marks: usize,
}

impl Rules {
    /// The rules for a name. UTS #39, section 5.4, recommends this limit of marks.
    pub(crate) const fn name(max_chars: usize) -> Self {
        Self {
            max_chars,
            max_marks: 4,
        }
    }
}

/// The reasons why a text is not a valid line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// The trimmed text has no visible character.
    #[error("must not be empty")]
    Empty,
    /// The trimmed text has too many characters.
    #[error("has at most {max} characters; this one has {chars}")]
    TooLong {
        /// The limit, in Unicode scalar values.
        max: usize,
        /// The length of the trimmed text, in Unicode scalar values.
        chars: usize,
    },
    /// The text has a control character, such as a line break.
    #[error("must be one line without control characters; this one has U+{:04X}", u32::from(*.character))]
    ControlCharacter {
        /// The first such character.
        character: char,
    },
    /// The text has an invisible character that serves no purpose at its place.
    #[error("must not have hidden characters without a purpose; this one has U+{:04X}", u32::from(*.character))]
    HiddenCharacter {
        /// The first such character.
        character: char,
    },
    /// Too many accents or other marks pile up on one character.
    #[error("has at most {max} marks, such as accents, on one character")]
    TooManyMarks {
        /// The limit of marks on one character.
        max: usize,
    },
}

/// Trims a text, normalizes it to form C, and checks it. The result is one line with at least one
/// visible character, without control characters, and without hidden characters that serve no
/// purpose.
pub(crate) fn parse(text: &str, rules: Rules) -> Result<String, LineError> {
    let text = text.trim();
    if is_plain(text) {
        return limited(text, rules).map(str::to_owned);
    }
    parse_any(text, rules)
}

/// Returns true if a trimmed text is printable ASCII only. Then only its length can be wrong.
/// Most lines are like that.
fn is_plain(text: &str) -> bool {
    let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !text.is_empty() && text.bytes().all(is_printable)
}

fn limited(text: &str, rules: Rules) -> Result<&str, LineError> {
    let (max, chars) = (rules.max_chars, text.chars().count());
    if chars > max {
        return Err(LineError::TooLong { max, chars });
    }
    Ok(text)
}

fn parse_any(text: &str, rules: Rules) -> Result<String, LineError> {
    let text = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    if let Some(character) = text.chars().find(|c| is_control(*c)) {
        return Err(LineError::ControlCharacter { character });
    }
    if !text.chars().any(shows) {
        return Err(LineError::Empty);
    }
    if let Some((_, character)) = without_purpose(&text).next() {
        return Err(LineError::HiddenCharacter { character });
    }
    let max = rules.max_marks;
    if most_marks(&text) > max {
        return Err(LineError::TooManyMarks { max });
    }
    limited(&text, rules)?;
    Ok(text.into_owned())
}

/// Makes one line of the text that a person has typed or pasted into a form.
///
/// A tab or a line break becomes a space. Hidden characters without a purpose are removed,
/// because the person can neither see nor remove them. Other control characters stay, and the
/// value's own parser refuses them.
#[must_use]
pub fn tidied(text: &str) -> String {
    let text = text.replace("\r\n", " ");
    let mut left_out = without_purpose(&text).map(|(at, _)| at).peekable();
    let kept = text
        .char_indices()
        .filter(|(at, _)| left_out.next_if_eq(at).is_none());
    let breaks = |c| c == '\t' || is_control(c) && c.is_whitespace();
    kept.map(|(_, c)| if breaks(c) { ' ' } else { c }).collect()
}

/// Removes the characters that change the direction of the text around them, so that the text
/// cannot look like another text.
#[must_use]
pub fn in_one_direction(text: &str) -> String {
    text.chars().filter(|c| !turns(*c)).collect()
}

/// Parses a value from text by today's rules. Fields of commands from programs use it with
/// `#[serde(deserialize_with = "typed")]`. The value's own `Deserialize` reads stored text
/// instead, whatever rules accepted it.
///
/// # Errors
///
/// If today's rules refuse the text.
pub fn typed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Reads a stored line unchanged, but refuses control characters. They were never accepted, and
/// they could forge lines of protocols.
pub(crate) fn stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let error = if text.trim().is_empty() {
        LineError::Empty
    } else if let Some(character) = text.chars().find(|c| c.is_control()) {
        LineError::ControlCharacter { character }
    } else {
        return Ok(text);
    };
    Err(serde::de::Error::custom(error))
}

/// The hidden characters that serve no purpose in the line, with their byte positions.
fn without_purpose(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut hidden, mut flag_end) = (0, 0);
    text.char_indices().filter(move |&(at, character)| {
        if at < flag_end {
            return false;
        }
        if is_out_of_place(character) {
            return true;
        }
        if character == BLACK_FLAG {
            let after = at + character.len_utf8();
            flag_end = after + tags_of_a_flag(&text[after..]);
        }
        hidden = if is_hidden(character) { hidden + 1 } else { 0 };
        hidden > MOST_HIDDEN
    })
}

/// Returns the number of bytes of the tags after a black flag, or 0 if they name no region.
fn tags_of_a_flag(text: &str) -> usize {
    let is_tag = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let tags = text.chars().take_while(is_tag).count();
    let is_flag = REGION.contains(&tags) && text.chars().nth(tags) == Some(LAST_TAG);
    // Every tag has four bytes in UTF-8.
    if is_flag {
        (tags + 1) * LAST_TAG.len_utf8()
    } else {
        0
    }
}

/// The most marks on one character. Marks with hidden characters between them count together.
fn most_marks(text: &str) -> usize {
    let mut marks = 0;
    let counts = text.chars().map(|character| {
        if piles_up(character) {
            marks += 1;
        } else if !is_hidden(character) {
            marks = 0;
        }
        marks
    });
    counts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
