use super::{PostgresUrl, UrlError};

fn refused(text: &str) -> UrlError {
    text.parse::<PostgresUrl>().expect_err(text)
}

#[test]
fn url_shows_its_parts_but_never_its_password() {
    for (text, shown) in [
        (
            "postgres://ada:s3cret@db.example.com/todos",
            "postgres://ada@db.example.com:5432/todos",
        ),
        (
            "postgresql://ada:s3%40cret@[::1]:5433/to%20dos?sslmode=require",
            "postgres://ada@[::1]:5433/to dos",
        ),
        (
            "postgres://ada:s3cret@localhost/todos?host=/run/postgresql",
            "postgres://ada@/run/postgresql:5432/todos",
        ),
    ] {
        let url: PostgresUrl = text.parse().expect(text);
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), format!("PostgresUrl({shown})"));
    }
}

#[test]
fn malformed_url_is_refused_without_its_password() {
    for (text, expected) in [
        ("mysql://ada:s3cret@localhost/todos", UrlError::Malformed),
        ("postgres:todos", UrlError::Malformed),
        (
            "postgres://ada:s3/cret@localhost/todos",
            UrlError::Malformed,
        ),
        (
            "postgres://ada:s3cret@localhost:port/todos",
            UrlError::Malformed,
        ),
        (
            "postgres://ada:s3cret@localhost/todos#s3cret",
            UrlError::Malformed,
        ),
        (
            "postgres://ada:s3cret@localhost/todos\n",
            UrlError::Malformed,
        ),
        ("postgres://ada:s3cret@localhost", UrlError::NoDatabase),
        ("postgres://ada:s3cret@localhost/", UrlError::NoDatabase),
    ] {
        assert_eq!(refused(text), expected, "{text}");
        assert!(!expected.to_string().contains("s3cret"), "{expected}");
    }
}

#[test]
fn parameter_that_is_unknown_or_invalid_is_refused() {
    for (parameter, expected) in [
        ("sslmod=require", "unknown parameter \"sslmod\""),
        ("options=-cfsync=off", "unknown parameter \"options\""),
        ("password=s3cret", "unknown parameter \"password\""),
        ("sslmode=on", "verify-full"),
        ("port=many", "use a number from 1 to 65535"),
    ] {
        let error = refused(&format!("postgres://ada@localhost/todos?{parameter}")).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn connection_over_a_network_is_unverified_without_a_check_of_the_certificate() {
    for (text, is_unverified) in [
        ("postgres://ada@db.example.com/todos", true),
        ("postgres://ada@db.example.com/todos?sslmode=require", true),
        (
            "postgres://ada@db.example.com/todos?sslmode=verify-full",
            false,
        ),
        ("postgres://ada@localhost/todos", false),
        ("postgres://ada@127.0.0.1/todos", false),
        ("postgres://ada@x/todos?host=/run/postgresql", false),
    ] {
        let url: PostgresUrl = text.parse().expect(text);
        assert_eq!(url.is_unverified(), is_unverified, "{text}");
    }
}
