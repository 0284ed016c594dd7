//! What a single character does to a text, by Unicode's own property tables.
//!
//! The tables come from a crate (`docs/adr/0009`). Of a character that Unicode
//! gives no property, `BLANK` knows that its glyph is empty.

use icu_properties::props::{
    BidiControl, DefaultIgnorableCodePoint, Deprecated, ExtendedPictographic, GeneralCategory,
    GeneralCategoryGroup as Group, NoncharacterCodePoint, PrependedConcatenationMark,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters whose glyph is empty although they count as a symbol or a mark.
const BLANK: [char; 4] = [
    '\u{2800}',  // Braille pattern blank: a cell without dots.
    '\u{fffc}',  // Object replacement character: the object is not part of the text.
    '\u{16fe4}', // Khitan small script filler.
    '\u{1d159}', // Musical symbol null notehead.
];

/// The categories whose characters have a glyph.
const WITH_GLYPH: Group = Group::Letter
    .union(Group::Mark)
    .union(Group::Number)
    .union(Group::Punctuation)
    .union(Group::Symbol);

/// The categories that end a line or drive a terminal.
const CONTROL: Group = Group::Control
    .union(Group::LineSeparator)
    .union(Group::ParagraphSeparator);

/// The marks that take no room of their own, and pile up on the character before.
const PILING: Group = Group::NonspacingMark.union(Group::EnclosingMark);

/// The categories of which no reader can tell what they show.
const UNKNOWN: Group = Group::PrivateUse.union(Group::Unassigned);

/// The tags of flags, which can spell a hidden text (UTS #51, annex C).
const TAGS: std::ops::RangeInclusive<char> = '\u{e0000}'..='\u{e007f}';

/// Marks of direction. A text in Hebrew or Arabic needs them beside digits and
/// punctuation, and they turn nothing else.
const DIRECTION_MARKS: [char; 3] = ['\u{61c}', '\u{200e}', '\u{200f}'];

/// Whether a reader sees the character: it has a glyph that is not empty.
///
/// Characters for private use and characters that Unicode has not assigned do not
/// count, except places that are kept for new emoji.
#[must_use]
pub fn shows(character: char) -> bool {
    let has_glyph = WITH_GLYPH.contains(category(character))
        || CodePointSetData::new::<ExtendedPictographic>().contains(character)
        || CodePointSetData::new::<PrependedConcatenationMark>().contains(character);
    has_glyph && !is_hidden(character) && !BLANK.contains(&character)
}

/// Whether the character shows nothing, and only changes the text around it: default
/// ignorable code points, and format characters that have no glyph.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    let is_format = category(character) == GeneralCategory::Format
        && !CodePointSetData::new::<PrependedConcatenationMark>().contains(character);
    is_format || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether the character ends a line or drives a terminal: controls (C0 and C1), and
/// the separators of lines and paragraphs.
#[must_use]
pub fn is_control(character: char) -> bool {
    CONTROL.contains(category(character))
}

/// Whether the character changes the direction of the text around it.
#[must_use]
pub fn turns(character: char) -> bool {
    CodePointSetData::new::<BidiControl>().contains(character)
}

/// Whether the character piles up on the one before, as accents do.
#[must_use]
pub fn piles_up(character: char) -> bool {
    PILING.contains(category(character))
}

/// Whether the character could stand for something else than a reader believes, or
/// for nothing: what a log writes as an escape.
#[must_use]
pub fn is_obscure(character: char) -> bool {
    is_control(character) || is_hidden(character) || UNKNOWN.contains(category(character))
}

/// Whether the character has no place in a line, wherever it stands: it can make the
/// line read as another line, or carries a hidden text. Tags within a flag are the
/// business of the caller.
pub(crate) fn is_out_of_place(character: char) -> bool {
    let is_deprecated = CodePointSetData::new::<Deprecated>().contains(character);
    is_hidden(character) && (is_deprecated || category(character) == GeneralCategory::Unassigned)
        || turns(character) && !DIRECTION_MARKS.contains(&character)
        || TAGS.contains(&character)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(character)
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

#[cfg(test)]
mod tests {
    use super::{is_control, is_hidden, is_obscure, is_out_of_place, piles_up, shows};

    #[test]
    fn letters_signs_and_emoji_show() {
        for character in "aßЖ字한ก़؀1½.+€☺🫠\u{301}\u{1faf9}\u{378}".chars() {
            // The last is not assigned, and no emoji.
            assert_eq!(shows(character), character != '\u{378}', "{character:?}");
        }
    }

    #[test]
    fn what_is_blank_does_not_show() {
        for character in " \t\u{a0}\u{3000}\u{2028}\u{ad}\u{34f}\u{115f}\u{3164}\u{ffa0}\u{2800}\
            \u{200b}\u{200d}\u{202e}\u{2066}\u{fe0f}\u{feff}\u{fff9}\u{fffc}\u{e000}\u{e0041}\
            \u{e01ef}\u{fdd0}\u{1d159}\u{16fe4}\u{10ffff}"
            .chars()
        {
            assert!(!shows(character), "{character:?}");
        }
    }

    #[test]
    fn characters_are_told_apart_by_what_they_do() {
        for character in ['\0', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}'] {
            assert!(is_control(character) && is_obscure(character));
            assert!(!is_hidden(character) && !is_out_of_place(character));
        }
        for character in ['\u{200c}', '\u{200f}', '\u{fe0f}', '\u{e0101}'] {
            assert!(is_hidden(character) && is_obscure(character));
            assert!(!is_control(character) && !is_out_of_place(character));
        }
        for character in ['\u{202e}', '\u{2066}', '\u{206a}', '\u{e0041}', '\u{fffe}'] {
            assert!(is_out_of_place(character) && is_obscure(character));
        }
        for character in "a é字🫠\u{301}".chars() {
            assert!(!is_obscure(character) && !is_out_of_place(character));
        }
        assert!(piles_up('\u{301}') && piles_up('\u{20dd}') && !piles_up('\u{93e}'));
    }
}
