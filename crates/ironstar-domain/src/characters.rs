//! The effect of a single character in a text, by Unicode's own property tables.
//!
//! The tables come from a crate (`docs/adr/0009`). Unicode has no property for a glyph that is
//! empty, so `BLANK` lists such characters.

use icu_properties::props::{
    BidiControl, DefaultIgnorableCodePoint, Deprecated, ExtendedPictographic, GeneralCategory,
    GeneralCategoryGroup as Group, NoncharacterCodePoint, PrependedConcatenationMark,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The characters that have an empty glyph although they count as a symbol or a mark.
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

/// The categories of characters that end a line or control a terminal.
const CONTROL: Group = Group::Control
    .union(Group::LineSeparator)
    .union(Group::ParagraphSeparator);

/// The marks that take no space of their own, and pile up on the preceding character.
const PILING: Group = Group::NonspacingMark.union(Group::EnclosingMark);

/// The categories of characters with an unknown appearance.
const UNKNOWN: Group = Group::PrivateUse.union(Group::Unassigned);

/// The tags of flags, which could also spell a hidden text (UTS #51, annex C).
const TAGS: std::ops::RangeInclusive<char> = '\u{e0000}'..='\u{e007f}';

/// The direction marks. A text in Hebrew or Arabic needs them beside digits and punctuation, and
/// they change the direction of nothing else.
const DIRECTION_MARKS: [char; 3] = ['\u{61c}', '\u{200e}', '\u{200f}'];

/// Returns true if a reader sees the character, because it has a glyph that is not empty.
///
/// A character for private use, or one that Unicode has not assigned, is not visible. The
/// exceptions are code points that are reserved for new emoji.
#[must_use]
pub fn shows(character: char) -> bool {
    let has_glyph = WITH_GLYPH.contains(category(character))
        || CodePointSetData::new::<ExtendedPictographic>().contains(character)
        || CodePointSetData::new::<PrependedConcatenationMark>().contains(character);
    has_glyph && !is_hidden(character) && !BLANK.contains(&character)
}

/// Returns true if the character is invisible and only affects the text around it. These are the
/// default ignorable code points, and the format characters without a glyph.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    let is_format = category(character) == GeneralCategory::Format
        && !CodePointSetData::new::<PrependedConcatenationMark>().contains(character);
    is_format || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Returns true if the character ends a line or controls a terminal. These are the controls (C0
/// and C1), and the separators of lines and paragraphs.
#[must_use]
pub fn is_control(character: char) -> bool {
    CONTROL.contains(category(character))
}

/// Returns true if the character changes the direction of the text around it.
#[must_use]
pub fn turns(character: char) -> bool {
    CodePointSetData::new::<BidiControl>().contains(character)
}

/// Returns true if the character piles up on the preceding one, as accents do.
#[must_use]
pub fn piles_up(character: char) -> bool {
    PILING.contains(category(character))
}

/// Returns true if a reader could overlook the character, or take it for another. A log writes
/// such a character as an escape.
#[must_use]
pub fn is_obscure(character: char) -> bool {
    is_control(character) || is_hidden(character) || UNKNOWN.contains(category(character))
}

/// Returns true if the character is not allowed anywhere in a line. It could make the line look
/// like another line, or carry a hidden text. The caller checks for tags that belong to a flag.
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
    fn letters_signs_and_emoji_are_visible() {
        for character in "aßЖ字한ก़؀1½.+€☺🫠\u{301}\u{1faf9}\u{378}".chars() {
            // The last one is unassigned, and not reserved for an emoji.
            assert_eq!(shows(character), character != '\u{378}', "{character:?}");
        }
    }

    #[test]
    fn blank_characters_are_not_visible() {
        for character in " \t\u{a0}\u{3000}\u{2028}\u{ad}\u{34f}\u{115f}\u{3164}\u{ffa0}\u{2800}\
            \u{200b}\u{200d}\u{202e}\u{2066}\u{fe0f}\u{feff}\u{fff9}\u{fffc}\u{e000}\u{e0041}\
            \u{e01ef}\u{fdd0}\u{1d159}\u{16fe4}\u{10ffff}"
            .chars()
        {
            assert!(!shows(character), "{character:?}");
        }
    }

    #[test]
    fn characters_are_classified_by_their_effect() {
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
