use super::{SqliteUrl, UrlError};

#[test]
fn valid_url_names_a_file() {
    for (url, path) in [
        ("sqlite:ironstar.db", "ironstar.db"),
        ("sqlite://ironstar.db", "ironstar.db"),
        ("sqlite:/var/lib/ironstar.db", "/var/lib/ironstar.db"),
        ("sqlite:///var/lib/ironstar.db", "/var/lib/ironstar.db"),
        ("sqlite:////var/lib/ironstar.db", "//var/lib/ironstar.db"),
        ("sqlite:../ironstar.db", "../ironstar.db"),
        ("sqlite:a%20b.db", "a b.db"),
        ("sqlite:a b.db", "a b.db"),
        ("sqlite:50%25.db", "50%.db"),
        ("sqlite:a%3Fb.db", "a?b.db"),
        ("sqlite:a#b.db", "a#b.db"),
        ("sqlite:%C3%A4.db", "ä.db"),
        ("sqlite:-x.db", "-x.db"),
        ("sqlite:./file:m.db", "./file:m.db"),
        ("sqlite:./:memory:", "./:memory:"),
        ("sqlite:ironstar.db?mode=rwc", "ironstar.db"),
        ("sqlite://ironstar.db?mode=rwc", "ironstar.db"),
    ] {
        let parsed: SqliteUrl = url.parse().expect(url);
        assert_eq!(parsed.path().to_str(), Some(path), "{url}");
        let again: SqliteUrl = parsed.to_string().parse().expect("the displayed URL");
        assert_eq!(again.path(), parsed.path(), "{url}");
    }
}

#[test]
fn url_without_a_file_is_refused() {
    for url in [
        "ironstar.db",
        "file:ironstar.db",
        "SQLITE:ironstar.db",
        "sqlite3:ironstar.db",
        "",
        "sqlite:",
        "sqlite://",
        "sqlite:?mode=rwc",
    ] {
        assert_eq!(refusal(url), UrlError::Malformed, "{url}");
    }
    for url in [
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:file::memory:",
        "sqlite:%3Amemory%3A",
        "sqlite:a.db?mode=memory",
        "sqlite://?cache=shared&mode=memory",
    ] {
        assert_eq!(refusal(url), UrlError::InMemory, "{url}");
    }
}

#[test]
fn ambiguous_url_is_refused_with_the_form_to_use() {
    for (url, form) in [
        ("sqlite:file:m.db", "sqlite:m.db"),
        ("sqlite:%66ile:m.db", "sqlite:m.db"),
        ("sqlite:file:///var/m.db", "sqlite:/var/m.db"),
        ("sqlite:file:m.db?mode=rwc", "sqlite:m.db"),
        ("sqlite:sqlite:m.db", "sqlite:m.db"),
        ("sqlite://sqlite://m.db", "sqlite:m.db"),
        ("sqlite:a.db?mode=ro", "sqlite:a.db"),
        ("sqlite:a.db?mode=rw", "sqlite:a.db"),
        ("sqlite:a.db?", "sqlite:a.db"),
        ("sqlite:a%20b%25.db?immutable=1", "sqlite:a b%25.db"),
    ] {
        let message = refusal(url).to_string();
        let written = message.contains(&format!("write {form}"));
        assert!(written, "{url}: {message}");
        form.parse::<SqliteUrl>().expect("the form works");
    }
    for url in [
        "sqlite:50%.db",
        "sqlite:%zz.db",
        "sqlite:a%2",
        "sqlite:%FF.db",
    ] {
        assert_eq!(refusal(url), UrlError::Escape, "{url}");
    }
    for url in ["sqlite:a.db\n", "sqlite:a%00.db", "sqlite:a%0D.db"] {
        assert_eq!(refusal(url), UrlError::ControlCharacter, "{url}");
    }
}

fn refusal(url: &str) -> UrlError {
    url.parse::<SqliteUrl>().expect_err(url)
}
