use super::{OLDEST_SQLITE, parse_version};

#[test]
fn versions_compare_as_numbers() {
    assert!(parse_version("3.51.3") >= Some(OLDEST_SQLITE));
    assert!(parse_version("3.100.0") >= Some(OLDEST_SQLITE));
    assert!(parse_version("3.51.2") < Some(OLDEST_SQLITE));
    assert!(parse_version("3.6.23") < Some(OLDEST_SQLITE));
    assert!(parse_version("unreadable") < Some(OLDEST_SQLITE));
}
