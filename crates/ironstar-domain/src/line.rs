//! One line of text that a person has typed: what todos say, and what lists and
//! users are called.
//!
//! A line comes in through [`parse`], in Unicode's normalization form C, so that two
//! lines that look alike are equal. A line that is stored is read by [`stored`],
//! whatever rules it was accepted by: a new rule must not make an old event
//! unreadable.

use std::fmt::Display;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Deserializer};

use crate::characters::{is_control, is_hidden, is_out_of_place, piles_up, shows, turns};

/// How many hidden characters may follow each other. An emoji takes two: a
/// variation selector and a joiner.
const MOST_HIDDEN: usize = 2;

/// A flag of a region is a black flag, the code of the region in three to six tags,
/// and the last tag (UTS #51, annex C).
const BLACK_FLAG: char = '\u{1f3f4}';
const REGION: std::ops::RangeInclusive<usize> = 3..=6;
const LAST_TAG: char = '\u{e007f}';

/// What a line may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The most characters (Unicode scalar values).
    pub(crate) max_chars: usize,
    /// The most marks that pile up on one character.
    pub(crate) max_marks: usize,
}

impl Rules {
    /// The rules for a text. Tibetan piles up more marks than any other script.
    pub(crate) const fn text(max_chars: usize) -> Self {
        Self {
            max_chars,
            max_marks: 8,
        }
    }

    /// The rules for a name, with the marks that UTS #39, section 5.4, allows.
    pub(crate) const fn name(max_chars: usize) -> Self {
        Self {
            max_chars,
            max_marks: 4,
        }
    }
}

/// Why a text is not a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// Nothing that shows is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// Too many characters are left after trimming.
    #[error("has at most {max} characters; this one has {chars}")]
    TooLong {
        /// How many there may be.
        max: usize,
        /// How many there are.
        chars: usize,
    },
    /// One of the characters is a control character, such as a line break.
    #[error("must be one line without control characters; this one has U+{:04X}", u32::from(*.character))]
    ControlCharacter {
        /// The first such character.
        character: char,
    },
    /// One of the characters shows nothing, and has no purpose where it stands.
    #[error("must not have hidden characters without a purpose; this one has U+{:04X}", u32::from(*.character))]
    HiddenCharacter {
        /// The first such character.
        character: char,
    },
    /// More accents or other marks pile up on a character than the line has room for.
    #[error("has at most {max} marks, such as accents, on one character")]
    TooManyMarks {
        /// How many there may be.
        max: usize,
    },
}

/// A text in form C without white space around it, if a reader can see it, and it
/// keeps to the rules: one line, no control characters, no hidden characters
/// without a purpose.
pub(crate) fn parse(text: &str, rules: Rules) -> Result<String, LineError> {
    let text = text.trim();
    if is_plain(text) {
        return limited(text, rules).map(str::to_owned);
    }
    parse_any(text, rules)
}

/// Whether a trimmed text has printable ASCII, and nothing else: then only its length may
/// be wrong. Most lines are like that.
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

/// What a person has typed or pasted into a form, as one line: a tab or a line break
/// becomes a space, and hidden characters without a purpose are left out, since the
/// person can neither see nor remove them.
///
/// Other control characters stay, for the value to refuse.
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

/// A text without the characters that change the direction of the text around it,
/// so that it cannot pass for another text.
#[must_use]
pub fn in_one_direction(text: &str) -> String {
    text.chars().filter(|c| !turns(*c)).collect()
}

/// Reads a value that comes in as text. A field of a command that programs send
/// names it (`#[serde(deserialize_with = "typed")]`), because a value by itself
/// reads what is stored, by whatever rules it was accepted.
///
/// # Errors
///
/// If the text is not such a value by the rules of today.
pub fn typed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error: Display>,
{
    let text = String::deserialize(deserializer)?;
    T::try_from(text).map_err(serde::de::Error::custom)
}

/// Reads a line that is stored, as it is. Control characters have never been
/// accepted, and would forge lines of protocols.
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

/// The hidden characters that a line has no use for, with their byte positions.
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

/// How many bytes of tags make a black flag that of a region.
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

/// The most marks on one character. Hidden characters do not part them.
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
