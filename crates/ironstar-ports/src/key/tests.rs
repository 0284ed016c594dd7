use super::{Key, KeyExpr, KeyExprError};
use crate::StreamId;

fn expr(text: &str) -> KeyExpr {
    text.parse().expect("a key expression")
}

fn key(text: &str) -> Key {
    Key(text.to_owned())
}

#[test]
fn stream_keys_encode_special_characters() {
    let plain = StreamId::new("Todo", "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e");
    assert_eq!(
        Key::of_stream(&plain).as_str(),
        "events/Todo/019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"
    );
    let hostile = StreamId::new("Todo", "a/**?#$@ü");
    assert_eq!(
        Key::of_stream(&hostile).as_str(),
        "events/Todo/a%2F%2A%2A%3F%23%24%40%C3%BC"
    );
    assert_eq!(KeyExpr::all_events().as_str(), "events/**");
    assert_eq!(KeyExpr::of_type("Todo").as_str(), "events/Todo/**");
    assert!(KeyExpr::of_stream(&hostile).matches(&Key::of_stream(&hostile)));
    assert!(!KeyExpr::of_stream(&hostile).matches(&Key::of_stream(&plain)));
}

#[test]
fn wildcards_match_whole_chunks() {
    let cases = [
        ("events/**", "events/Todo/1", true),
        ("events/**", "events", true),
        ("events/**", "event/Todo/1", false),
        ("events/Todo/*", "events/Todo/1", true),
        ("events/Todo/*", "events/Todo", false),
        ("events/Todo/*", "events/Todo/1/2", false),
        ("events/*/1", "events/Todo/1", true),
        ("**/1", "events/Todo/1", true),
        ("**/1/**", "events/Todo/1", true),
        ("**/Todo/**/3", "events/Todo/1/Todo/2/3", true),
        ("**/Todo/**/3", "events/Todo/1/Todo/2/4", false),
        ("events/Todo/1", "events/Todo/1", true),
        ("events/Todo/1", "events/Todo/12", false),
        ("**", "events", true),
    ];
    for (pattern, candidate, expected) in cases {
        assert_eq!(
            expr(pattern).matches(&key(candidate)),
            expected,
            "{pattern} on {candidate}"
        );
    }
}

#[test]
fn expressions_are_brought_into_canonical_form() {
    assert_eq!(expr("a/**/**/b").as_str(), "a/**/b");
    assert_eq!(expr("a/**/*").as_str(), "a/*/**");
    assert_eq!(expr("**/*/**/*/b").as_str(), "*/*/**/b");
}

#[test]
fn malformed_expression_is_refused() {
    for text in ["", "/", "/a", "a/", "a//b"] {
        assert_eq!(text.parse::<KeyExpr>(), Err(KeyExprError::EmptyChunk));
    }
    for chunk in ["a*", "***", "$*", "a#", "a?b", "@a", "a\rb", "a\nb"] {
        assert_eq!(
            format!("events/{chunk}").parse::<KeyExpr>(),
            Err(KeyExprError::Reserved {
                chunk: chunk.to_owned()
            })
        );
    }
    let longest = "a".repeat(512);
    assert_eq!(
        longest.parse::<KeyExpr>().expect("an expression").as_str(),
        longest
    );
    assert_eq!(
        "a".repeat(513).parse::<KeyExpr>(),
        Err(KeyExprError::TooLong)
    );
}

#[test]
fn session_keys_differ_from_stream_keys() {
    let key = Key::of_session("0a1b", "theme");
    assert_eq!(key.as_str(), "events/session/0a1b/theme");
    assert_eq!(Key::session_in(key.as_str()), Some(("0a1b", "theme")));
    assert!(KeyExpr::all_sessions().matches(&key));
    let forged = Key::of_session("*/x", "a/b");
    assert_eq!(forged.as_str(), "events/session/%2A%2Fx/a%2Fb");
    let event = Key::of_stream(&StreamId::new("Todo", "session"));
    assert!(!KeyExpr::all_sessions().matches(&event));
    assert_eq!(Key::session_in(event.as_str()), None);
    assert_eq!(Key::session_in("events/session"), None);
}

#[test]
fn expression_tells_whether_it_may_match_types() {
    for (pattern, expected) in [
        ("**", true),
        ("events/**", true),
        ("events/Todo/**", true),
        ("events/Todo/*", true),
        ("events/Todo/1", true),
        ("events/*/1", true),
        ("**/1", true),
        ("events/List/1/**", true),
        ("events/List/*/Todo/1", true),
        ("events/*/*/*/*", true),
        ("**/Todo/**/1", true),
        ("**/a/**/b/**", true),
        ("events/X", false),
        ("events/X/**", false),
        ("events/X/*", false),
        ("events/List/*/X/*", false),
        ("events", false),
        ("event/**", false),
        ("events/Todo/1/2", false),
        ("events/Todo/1/Todo/2/3", false),
        ("**/a/**/b/**/c/**/d/**", false),
    ] {
        let may = expr(pattern).may_match_types(&["Todo", "List"]);
        assert_eq!(may, expected, "{pattern}");
    }
}
