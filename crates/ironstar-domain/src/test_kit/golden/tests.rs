use super::check_golden_files;
use crate::test_kit::failure::failure_of;
use crate::test_kit::toy::{DoorEvent, FORGETFUL, UNLISTED};

type File = (&'static str, u32, &'static str);

const OPENED_1: File = (
    "opened",
    1,
    r#"{"stored": {"type": "opened", "who": "Ada"}, "reads_as": {"type": "opened", "by": "Ada"}}"#,
);
const OPENED_2: File = (
    "opened",
    2,
    r#"{"stored": {"type": "opened", "by": "Ada"}, "reads_as": {"type": "opened", "by": "Ada"}}"#,
);
const SHUT: File = (
    "shut",
    1,
    r#"{"stored": {"type": "shut"}, "reads_as": {"type": "shut"}}"#,
);
const RANG: File = (
    "rang",
    1,
    r#"{"stored": {"type": "rang"}, "reads_as": {"type": "rang"}}"#,
);

const CHANGED: &str = "the shape of `opened` has changed
to do:
    leave version 2 as it is, add an upcaster and a golden file of version 3";
const READ_OTHERWISE: &str = "`opened` version 1 does not read as its golden file says";

fn samples<const FAULT: u8>() -> Vec<DoorEvent<FAULT>> {
    vec![DoorEvent::opened("Ben"), DoorEvent::Shut, DoorEvent::Rang]
}

/// The report about a sound door's events with these files.
fn told(files: &[File]) -> String {
    failure_of(|| check_golden_files::<DoorEvent>(files, samples())).message
}

/// The report with this text in place of [`OPENED_2`].
fn told_of_version_2(text: &'static str) -> String {
    told(&[OPENED_1, ("opened", 2, text), SHUT, RANG])
}

#[test]
fn correct_files_are_accepted() {
    let with_note = r#"{
        "stored": {"type": "opened", "by": "Ada", "note": "gently"},
        "reads_as": {"type": "opened", "by": "Ada", "note": "gently"}
    }"#;
    let files = [OPENED_1, OPENED_2, ("opened", 2, with_note), SHUT, RANG];
    let noted = DoorEvent::Opened {
        by: "Ben".to_owned(),
        note: Some("with a bang".to_owned()),
    };
    check_golden_files::<DoorEvent>(&files, samples().into_iter().chain([noted]));
}

#[test]
fn a_missing_file_of_the_newest_version_is_suggested() {
    let expected = r#"there is no golden file of `rang` version 1
it could be:
    {
      "reads_as": {
        "type": "rang"
      },
      "stored": {
        "type": "rang"
      }
    }"#;
    assert_eq!(told(&[OPENED_1, OPENED_2, SHUT]), expected);
}

#[test]
fn missing_file_of_an_older_version_is_requested() {
    let expected = "there is no golden file of `opened` version 1
to do:
    write one with a payload that was really stored";
    assert_eq!(told(&[OPENED_2, SHUT, RANG]), expected);
}

#[test]
fn file_of_an_unknown_type_or_version_is_refused() {
    let newer = ("shut", 2, SHUT.2);
    let gone = ("ajar", 1, SHUT.2);
    let none = ("shut", 0, SHUT.2);
    let expected = "there is a golden file of `shut` version 2
but:
    its versions go from 1 to 1: an upcaster may be missing

there is a golden file of `ajar` version 1
but:
    there is no such event type: one that was ever stored has to stay

there is a golden file of `shut` version 0
but:
    its versions go from 1 to 1: an upcaster may be missing";
    assert_eq!(
        told(&[OPENED_1, OPENED_2, SHUT, RANG, newer, gone, none]),
        expected
    );
}

#[test]
fn malformed_golden_file_is_refused() {
    for text in [
        r#"{"stored": {"type": "opened"}}"#,
        r#"{"stored": {}, "reads_as": {}, "note": ""}"#,
        "{",
    ] {
        let told = told_of_version_2(text);
        let headline = "a golden file of `opened` version 2 is invalid\nbecause:";
        assert!(told.starts_with(headline), "{told}");
    }
}

#[test]
fn a_field_added_without_a_version_is_found() {
    // In this case, `by` is a new field with a default.
    let opened = r#"{"stored": {"type": "opened"}, "reads_as": {"type": "opened", "by": ""}}"#;
    let expected = r#"written as (- expected, + got):
      {
    +   "by": "",
        "type": "opened"
      }"#;
    assert_eq!(told_of_version_2(opened), format!("{CHANGED}\n{expected}"));
}

#[test]
fn a_field_removed_without_a_version_is_found() {
    let opened = r#"{
        "stored": {"type": "opened", "by": "Ada", "at": "noon"},
        "reads_as": {"type": "opened", "by": "Ada"}
    }"#;
    let told = told_of_version_2(opened);
    assert!(told.starts_with(CHANGED), "{told}");
    assert!(told.contains(r#"-   "at": "noon""#), "{told}");
}

#[test]
fn a_field_of_another_type_is_found() {
    let opened =
        r#"{"stored": {"type": "opened", "by": 7}, "reads_as": {"type": "opened", "by": 7}}"#;
    let told = told_of_version_2(opened);
    assert!(told.starts_with(CHANGED), "{told}");
    assert!(
        told.contains("is refused:\n    its payload does not have the shape of this version: "),
        "{told}"
    );
}

#[test]
fn an_optional_field_that_no_file_has_is_found() {
    let noted = DoorEvent::Opened {
        by: "Ben".to_owned(),
        note: Some("with a bang".to_owned()),
    };
    let files = [OPENED_1, OPENED_2, SHUT, RANG];
    let failure = failure_of(|| {
        check_golden_files::<DoorEvent>(&files, samples().into_iter().chain([noted]));
    });
    let expected = "otherwise:
    if version 2 has always had them, add them to a file of it
in no golden file of version 2:
    note: string";
    assert_eq!(failure.message, format!("{CHANGED}\n{expected}"));
    let check = "check_golden_files::<DoorEvent>(&files, samples().into_iter().chain([noted]));";
    failure.assert_place(file!(), include_str!("tests.rs"), check);
}

#[test]
fn an_optional_field_that_only_older_files_have_is_found() {
    let opened = r#"{
        "stored": {"type": "opened", "who": "Ada", "note": "gently"},
        "reads_as": {"type": "opened", "by": "Ada", "note": "gently"}
    }"#;
    let noted = DoorEvent::Opened {
        by: "Ben".to_owned(),
        note: Some("with a bang".to_owned()),
    };
    let files = [("opened", 1, opened), OPENED_2, SHUT, RANG];
    let samples = samples().into_iter().chain([noted]);
    let failure = failure_of(|| check_golden_files::<DoorEvent>(&files, samples));
    assert!(
        failure.message.ends_with("note: string"),
        "{}",
        failure.message
    );
}

#[test]
fn a_file_of_the_newest_version_that_contradicts_itself_is_found() {
    let opened = r#"{
        "stored": {"type": "opened", "by": "Ada"},
        "reads_as": {"type": "opened", "by": "Ben"}
    }"#;
    let told = told_of_version_2(opened);
    let headline = "`opened` version 2 does not read as its golden file says";
    assert!(told.starts_with(headline), "{told}");
}

#[test]
fn an_upcaster_that_forgets_a_field_is_found() {
    let files = [OPENED_1, OPENED_2, SHUT, RANG];
    let failure = failure_of(|| check_golden_files::<DoorEvent<FORGETFUL>>(&files, samples()));
    assert!(
        failure.message.starts_with(READ_OTHERWISE),
        "{}",
        failure.message
    );
    let lost = r#"    -   "by": "Ada",
    +   "by": "","#;
    assert!(failure.message.contains(lost), "{}", failure.message);
}

#[test]
fn an_upcaster_that_fails_is_found() {
    let opened = r#"{"stored": {"type": "opened"}, "reads_as": {"type": "opened", "by": "Ada"}}"#;
    let told = told(&[("opened", 1, opened), OPENED_2, SHUT, RANG]);
    assert!(told.starts_with(READ_OTHERWISE), "{told}");
    assert!(told.ends_with("'who' is missing"), "{told}");
}

#[test]
fn every_type_needs_a_sample() {
    let files = [OPENED_1, OPENED_2, SHUT, RANG];
    let failure = failure_of(|| check_golden_files::<DoorEvent>(&files, [DoorEvent::Shut]));
    let expected = "there is no `opened` among the samples

there is no `rang` among the samples";
    assert_eq!(failure.message, expected);
}

#[test]
fn a_sample_of_an_unlisted_type_is_found() {
    let files = [("opened", 1, OPENED_2.2), SHUT];
    let failure = failure_of(|| check_golden_files::<DoorEvent<UNLISTED>>(&files, samples()));
    let headline = "`rang` is not one of the event types\nbut a sample:";
    assert!(failure.message.starts_with(headline), "{}", failure.message);
}
