use proptest::prelude::*;
use serde_json::json;

use super::{
    LineError, Rules, in_one_direction, is_plain, most_marks, parse, parse_any, stored, tidied,
};
use crate::characters::{is_control, is_out_of_place, shows};

fn text(text: &str) -> Result<String, LineError> {
    text_of(text, 500)
}

/// Reads a text that may pile up as many marks as any script needs.
fn text_of(text: &str, max_chars: usize) -> Result<String, LineError> {
    let max_marks = 8;
    parse(
        text,
        Rules {
            max_chars,
            max_marks,
        },
    )
}

fn name(text: &str) -> Result<String, LineError> {
    parse(text, Rules::name(100))
}

fn hidden(character: char) -> Result<String, LineError> {
    Err(LineError::HiddenCharacter { character })
}

/// Reads a text as if it had been stored. Returns `None` if it is refused.
fn read(text: &str) -> Option<String> {
    stored(json!(text)).ok()
}

#[test]
fn line_is_trimmed_and_counted_in_characters() {
    let short = |text: &str| text_of(text, 8);
    assert_eq!(short("  Buy milk\n"), Ok("Buy milk".to_owned()));
    assert_eq!(short(&"ü".repeat(8)), Ok("ü".repeat(8)));
    // Each of these has two characters until it is composed.
    assert_eq!(short(&"u\u{308}".repeat(8)), Ok("ü".repeat(8)));
    let too_long = LineError::TooLong { max: 8, chars: 9 };
    assert_eq!(short(&"ü".repeat(9)), Err(too_long));
}

#[test]
fn line_with_nothing_to_see_is_refused() {
    for blank in [
        "",
        "  ",
        "\t\r\n",
        "\u{3000}",
        "\u{3164}",
        "\u{115f}",
        "\u{115f}\u{1160}",
        "\u{2800}",
        "\u{2800} \u{2800}",
        "\u{fe0f}",
        "\u{34f}",
        "\u{fff9}",
        "\u{e0041}",
        "\u{e01ef}",
        "\u{200b}",
        "\u{ad}",
        "\u{180e}",
        "\u{17b4}",
        "\u{ffa0}",
        "\u{1d159}",
        "\u{e000}",
        "\u{378}",
        "\u{ffff}",
        "\u{202e} \u{feff}",
    ] {
        assert_eq!(text(blank), Err(LineError::Empty), "{blank:?}");
        assert_eq!(name(blank), Err(LineError::Empty), "{blank:?}");
    }
}

#[test]
fn line_with_control_characters_is_refused() {
    for character in [
        '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{9f}', '\u{2028}',
        '\u{2029}',
    ] {
        let refused = Err(LineError::ControlCharacter { character });
        assert_eq!(text(&format!("a{character}b")), refused);
    }
}

#[test]
fn line_with_hidden_characters_without_a_purpose_is_refused() {
    for (line, character) in [
        ("paid \u{202e}000.1\u{202c} in full", '\u{202e}'),
        ("a\u{202a}b", '\u{202a}'),
        ("a\u{2066}b\u{2069}", '\u{2066}'),
        ("a\u{206a}b", '\u{206a}'),
        ("a\u{fffe}b", '\u{fffe}'),
        ("☺\u{e0041}", '\u{e0041}'),
        ("☺\u{e0067}\u{e0062}\u{e0065}\u{e007f}", '\u{e0067}'),
        ("🏴\u{e0067}\u{e0062}\u{e0065}", '\u{e0067}'),
        ("🏴\u{e0067}\u{e007f}", '\u{e0067}'),
        (
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e007f}\u{e0041}",
            '\u{e0041}',
        ),
        ("a\u{200b}\u{200b}\u{200b}b", '\u{200b}'),
        ("☺\u{fe0f}\u{fe01}\u{e0101}", '\u{e0101}'),
        ("a\u{e0080}", '\u{e0080}'),
    ] {
        assert_eq!(text(line), hidden(character), "{line:?}");
        assert_eq!(name(line), hidden(character), "{line:?}");
    }
}

#[test]
fn line_keeps_hidden_characters_that_have_a_purpose() {
    for line in [
        "می‌خواهم",
        "क्‍ष",
        "👩‍👩‍👧‍👦",
        "👁️‍🗨️ 🏳️‍⚧️ 1️⃣ ❤️",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "葛\u{e0100}城",
        "ᠠ\u{180b}",
        "שלום\u{200f}!",
        "Donau\u{ad}dampf",
        "ra\u{2060}cer",
        "\u{600}١٢",
        "\u{f8ff} a",
    ] {
        assert_eq!(text(line), Ok(line.to_owned()), "{line:?}");
        assert_eq!(name(line), Ok(line.to_owned()), "{line:?}");
        assert_eq!(tidied(line), line);
    }
}

#[test]
fn lines_that_look_alike_are_equal() {
    for (typed, line) in [
        ("Cafe\u{301}", "Café"),
        ("\u{212b}", "Å"),
        ("q\u{307}\u{323}", "q\u{323}\u{307}"),
        ("\u{1112}\u{1161}\u{11ab}", "한"),
    ] {
        assert_eq!(text(typed), Ok(line.to_owned()));
        assert_eq!(name(typed), Ok(line.to_owned()));
    }
}

#[test]
fn line_with_too_many_marks_is_refused() {
    let pile = |marks: usize| format!("x{}", "\u{303}\u{331}".repeat(marks / 2));
    assert!(name(&pile(4)).is_ok() && text(&pile(8)).is_ok());
    assert_eq!(name(&pile(6)), Err(LineError::TooManyMarks { max: 4 }));
    assert_eq!(text(&pile(10)), Err(LineError::TooManyMarks { max: 8 }));
    let joined = format!("x{}", "\u{303}\u{200d}".repeat(5));
    assert_eq!(name(&joined), Err(LineError::TooManyMarks { max: 4 }));
    assert_eq!(most_marks("Ấy, שָׁ֑לוֹם, ཧཱུྃ, สื่อ"), 3);
}

#[test]
fn tidied_text_is_one_line_without_hidden_characters_that_have_no_purpose() {
    for (typed, line) in [
        ("Buy\tmilk\r\nand\neggs", "Buy milk and eggs"),
        ("a\u{b}b\u{c}c\u{85}d\u{2028}e\u{2029}f", "a b c d e f"),
        ("paid \u{202e}000.1\u{202c}", "paid 000.1"),
        ("a\u{200b}\u{200b}\u{200b}\u{200b}b", "a\u{200b}\u{200b}b"),
        ("☺\u{e0041}\u{fdd0}", "☺"),
        ("a\0b", "a\0b"),
    ] {
        assert_eq!(tidied(typed), line);
    }
    assert_eq!(in_one_direction("\u{200f}a\u{202e}b\u{61c}"), "ab");
}

#[test]
fn stored_line_is_read_even_if_current_rules_refuse_it() {
    let zalgo = format!("x{}", "\u{303}".repeat(100));
    let long = "x".repeat(1_000);
    for old in [
        "\u{3164}",
        "Cafe\u{301}",
        "a\u{202e}b\u{2028}",
        &zalgo,
        &long,
    ] {
        assert_eq!(read(old).as_deref(), Some(old));
    }
    for never in ["", " ", "a\rb", "a\u{9b}b"] {
        assert_eq!(read(never), None, "{never:?}");
    }
}

/// Random texts with many of the characters that the rules are about.
fn any_text() -> impl Strategy<Value = String> {
    let special = "[\u{0}-\u{20}\u{85}\u{9b}\u{ad}\u{34f}\u{300}-\u{331}\u{115f}\u{1160}\u{2800}\u{200b}-\u{200f}\
        \u{2028}-\u{202e}\u{2066}-\u{206f}\u{3164}\u{fe0f}\u{feff}\u{fff9}\u{1f3f4}\u{e0041}\u{e0061}\u{e007f}\
        \u{1100}-\u{1103}\u{1161}-\u{1163}a-e☺]{0,30}";
    prop_oneof![any::<String>(), special]
}

#[test]
fn ascii_text_is_judged_like_any_text() {
    let ascii = || (0..128_u8).map(char::from);
    for (one, other) in ascii().flat_map(|one| ascii().map(move |other| (one, other))) {
        let text = format!("{one}{other}");
        let text = text.trim();
        for max in 0..3 {
            let rules = Rules::name(max);
            assert_eq!(parse(text, rules), parse_any(text, rules), "{text:?}");
        }
        assert_eq!(is_plain(text), parse_any(text, Rules::name(2)).is_ok());
    }
}

proptest! {
    #[test]
    fn line_keeps_its_rules(typed in any_text(), max in 1..40_usize) {
        if let Ok(line) = parse(&typed, Rules::name(max)) {
            prop_assert_eq!(parse(&line, Rules::name(max)), Ok(line.clone()));
            prop_assert_eq!(read(&line), Some(line.clone()));
            prop_assert_eq!(tidied(&line), line.clone());
            prop_assert!(icu_normalizer::ComposingNormalizerBorrowed::new_nfc().is_normalized(&line));
            prop_assert!(line.chars().any(shows));
            prop_assert!(!line.chars().any(is_control));
            prop_assert!((1..=max).contains(&line.chars().count()));
        }
    }

    #[test]
    fn tidied_text_is_refused_only_for_visible_reasons(typed in any_text()) {
        let line = tidied(&typed);
        prop_assert_eq!(tidied(&line), line.clone());
        let refusal = text(&line).err();
        let is_seen = match refusal {
            None | Some(LineError::Empty | LineError::TooLong { .. } | LineError::TooManyMarks { .. }) => true,
            Some(LineError::ControlCharacter { character }) => !character.is_whitespace(),
            Some(LineError::HiddenCharacter { .. }) => false,
        };
        prop_assert!(is_seen, "{:?}", refusal);
        let is_tag = |c: char| matches!(c, '\u{e0020}'..='\u{e007f}');
        prop_assert!(!line.chars().any(|c| is_out_of_place(c) && !is_tag(c)));
    }
}
