//! One line of text that somebody has typed: what todos say, and what lists are
//! called.

/// Why a text is not a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// Nothing visible is left after trimming.
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
}

/// A text without white space around it, if it has 1 to `max` characters
/// (Unicode scalar values), none of them a control character, and one of them
/// visible.
pub(crate) fn parse(text: &str, max: usize) -> Result<String, LineError> {
    let text = text.trim();
    if text.chars().all(is_blank) {
        return Err(LineError::Empty);
    }
    if let Some(character) = text.chars().find(|c| c.is_control()) {
        return Err(LineError::ControlCharacter { character });
    }
    let chars = text.chars().count();
    if chars > max {
        return Err(LineError::TooLong { max, chars });
    }
    Ok(text.to_owned())
}

/// Whether a character alone shows nothing: white space, and what only shapes
/// the text around it (Unicode's general category Cf).
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::{LineError, parse};

    #[test]
    fn a_line_is_trimmed_and_counted_in_characters() {
        assert_eq!(parse("  Buy milk\n", 8), Ok("Buy milk".to_owned()));
        assert!(parse(&"ü".repeat(8), 8).is_ok());
        let too_long = LineError::TooLong { max: 8, chars: 9 };
        assert_eq!(parse(&"ü".repeat(9), 8), Err(too_long));
    }

    #[test]
    fn a_line_is_not_blank_and_has_no_control_characters() {
        for blank in [
            "",
            "  ",
            "\t\r\n",
            "\u{3000}",
            "\u{200b}",
            "\u{202e} \u{feff}",
        ] {
            assert_eq!(parse(blank, 8), Err(LineError::Empty), "{blank:?}");
        }
        for character in [
            '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}',
        ] {
            let refused = Err(LineError::ControlCharacter { character });
            assert_eq!(parse(&format!("a{character}b"), 8), refused);
        }
    }
}
