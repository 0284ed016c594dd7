//! Escapes characters that are invisible to the reader of a line, or that control a terminal.

use std::fmt::Write;

use ironstar_domain::characters::{is_obscure, piles_up};

/// The number of marks that may pile up on one character (UTS #39, section 5.4). More marks
/// cover the lines around it.
const MOST_MARKS: usize = 4;

/// The format of the line, which determines the escapes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// Plain text.
    Text,
    /// Text for a terminal, with the colours that the program chose.
    Coloured,
    /// A JSON object, in which such characters can only stand within strings.
    Json,
}

/// Returns the line with visible characters only, none of which controls a terminal.
pub(crate) fn escape(line: &str, form: Form) -> String {
    let mut escaped = String::with_capacity(line.len());
    let mut marks = 0;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let colour = if form == Form::Coloured {
            colour(rest)
        } else {
            0
        };
        if colour > 0 {
            escaped.push_str(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        marks = if piles_up(character) { marks + 1 } else { 0 };
        if is_obscure(character) || marks > MOST_MARKS {
            push_escape(&mut escaped, character, form);
        } else {
            escaped.push(character);
        }
        rest = &rest[character.len_utf8()..];
    }
    escaped
}

/// Returns the length in bytes of a colour sequence (ECMA-48, SGR) at the start of a text:
/// escape, bracket, numbers, and the letter m. Returns 0 if there is none.
fn colour(text: &str) -> usize {
    let Some(numbers) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if numbers[end..].starts_with('m') => text.len() - numbers.len() + end + 1,
        Some(_) | None => 0,
    }
}

fn push_escape(escaped: &mut String, character: char, form: Form) {
    match form {
        Form::Text | Form::Coloured => escaped.extend(character.escape_unicode()),
        Form::Json => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, escape};

    #[test]
    fn invisible_characters_are_escaped() {
        for (character, text, json) in [
            ('\u{1b}', r"\u{1b}", r"\u001b"),
            ('\n', r"\u{a}", r"\u000a"),
            ('\u{7f}', r"\u{7f}", r"\u007f"),
            ('\u{85}', r"\u{85}", r"\u0085"),
            ('\u{9b}', r"\u{9b}", r"\u009b"),
            ('\u{2028}', r"\u{2028}", r"\u2028"),
            ('\u{202e}', r"\u{202e}", r"\u202e"),
            ('\u{3164}', r"\u{3164}", r"\u3164"),
            ('\u{feff}', r"\u{feff}", r"\ufeff"),
            ('\u{e0041}', r"\u{e0041}", r"\udb40\udc41"),
        ] {
            let line = format!("a{character}b");
            assert_eq!(escape(&line, Form::Text), format!("a{text}b"));
            assert_eq!(escape(&line, Form::Coloured), format!("a{text}b"));
            let line = escape(&format!("\"a{character}b\""), Form::Json);
            assert_eq!(line, format!("\"a{json}b\""));
        }
        let shown = "Ärger über 字, 한 and 🫠";
        for form in [Form::Text, Form::Coloured, Form::Json] {
            assert_eq!(escape(shown, form), shown);
        }
    }

    #[test]
    fn marks_that_pile_up_are_escaped() {
        let line = format!("x{}", "\u{301}".repeat(6));
        let escaped = format!("x{}{}", "\u{301}".repeat(4), r"\u{301}".repeat(2));
        assert_eq!(escape(&line, Form::Text), escaped);
    }

    #[test]
    fn colours_stay_where_the_program_chooses_them() {
        let line = "\u{1b}[1;32mINFO\u{1b}[0m";
        assert_eq!(escape(line, Form::Coloured), line);
        assert_eq!(escape(line, Form::Text), r"\u{1b}[1;32mINFO\u{1b}[0m");
        for other in ["\u{1b}[2J", "\u{1b}]0;x\u{7}", "\u{1b}[", "\u{1b}[1"] {
            assert!(!escape(other, Form::Coloured).contains('\u{1b}'));
        }
    }
}
