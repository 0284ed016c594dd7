use super::{SqliteUrl, UrlError};

#[test]
fn a_url_names_a_file() {
    for (url, path) in [
        ("sqlite:ironstar.db", "ironstar.db"),
        ("sqlite://ironstar.db", "ironstar.db"),
        ("sqlite:/var/lib/ironstar.db", "/var/lib/ironstar.db"),
        ("sqlite:///var/lib/ironstar.db", "/var/lib/ironstar.db"),
    ] {
        let parsed: SqliteUrl = url.parse().expect("a SQLite URL");
        assert_eq!(parsed.path().to_str(), Some(path));
    }
}

#[test]
fn other_urls_are_refused() {
    let refusal = |url: &str| url.parse::<SqliteUrl>().expect_err("not allowed");
    assert_eq!(refusal("ironstar.db"), UrlError::Malformed);
    assert_eq!(refusal("sqlite:"), UrlError::Malformed);
    assert_eq!(refusal("sqlite::memory:"), UrlError::InMemory);
    assert_eq!(refusal("sqlite:a.db?mode=memory"), UrlError::InMemory);
    assert_eq!(
        refusal("sqlite:a.db?mode=ro"),
        UrlError::Parameters {
            parameters: "?mode=ro".to_owned()
        }
    );
}
