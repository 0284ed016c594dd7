use std::panic::catch_unwind;

use ironstar_domain::list::{ListEvent, ListId, ListState};
use ironstar_ports::{Envelope, Place, Position, Sequence};

use crate::features::list::{ListItem, ListProjection};
use crate::projection::{Documents, FoldError, Projection};
use crate::test_kit::{Happened, given, happened, stored};

fn id() -> ListId {
    "00000000-0000-0000-0000-000000000007"
        .parse()
        .expect("an id")
}

fn list(event: ListEvent) -> Happened {
    happened::<ListState>(id(), event)
}

fn created() -> Happened {
    let name = "Food".parse().expect("valid");
    list(ListEvent::Created { name, owner: None })
}

fn item(archived: bool) -> (String, ListItem) {
    let item = ListItem {
        id: id(),
        name: "Food".parse().expect("valid"),
        owner: None,
        links: vec![],
        archived,
        created: Position::new(1),
    };
    (id().to_string(), item)
}

fn failure_of(check: fn()) -> String {
    let panic = catch_unwind(check).expect_err("the check must fail");
    *panic.downcast::<String>().expect("a panic with a text")
}

#[test]
fn events_get_their_places_in_the_given_order() {
    let other = happened::<ListState>(ListId::SHARED, ListEvent::Archived);
    let given = given([created(), other]).and([list(ListEvent::Archived)]);
    let places = given.log().iter().map(|event| {
        let id = event.metadata.event_id.as_u128();
        (event.position.get(), event.sequence, id)
    });
    let sequence = Sequence::new;
    assert!(places.eq([
        (1, sequence(0), 1),
        (2, sequence(0), 2),
        (3, sequence(1), 3)
    ]));
}

#[test]
fn failure_shows_other_documents_line_by_line() {
    let told = failure_of(|| {
        given([created(), list(ListEvent::Archived)])
            .view::<ListProjection>()
            .then([item(false)]);
    });
    let expected = "the projection holds other documents\n\
         given:\n    \
         1: List 00000000-0000-0000-0000-000000000007 created v2 {\"type\":\"created\",\"name\":\"Food\",\"owner\":null}\n    \
         2: List 00000000-0000-0000-0000-000000000007 archived v1 {\"type\":\"archived\"}\n\
         then (- expected, + got):\n";
    assert!(told.starts_with(expected), "{told}");
    assert!(
        told.contains("\n    -     archived: false,\n    +     archived: true,\n"),
        "{told}"
    );
}

#[test]
fn view_finds_missing_and_surplus_documents() {
    let nothing = failure_of(|| {
        given([created()]).view::<ListProjection>().then_nothing();
    });
    assert!(
        nothing.contains("\n    - nothing\n    + 00000000"),
        "{nothing}"
    );
    let one = failure_of(|| {
        given([]).view::<ListProjection>().then([item(false)]);
    });
    assert!(
        one.starts_with("the projection holds other documents\ngiven:\n    nothing\n"),
        "{one}"
    );
    assert!(one.ends_with("\n    + nothing"), "{one}");
}

#[test]
fn expectation_of_documents_fails_when_an_event_cannot_be_folded() {
    let painted = || stored::<ListState>(id(), "painted", 1, "{}");
    given([created(), painted()])
        .view::<ListProjection>()
        .then_stuck(2);
    let told = failure_of(|| {
        given([created(), stored::<ListState>(id(), "painted", 1, "{}")])
            .view::<ListProjection>()
            .then([item(false)]);
    });
    assert!(
        told.contains("+ stuck at position 2: the \"painted\" event"),
        "{told}"
    );
    let told = failure_of(|| {
        given([created()]).view::<ListProjection>().then_stuck(1);
    });
    assert!(told.starts_with("every event is folded\n"), "{told}");
    let told = failure_of(|| {
        given([stored::<ListState>(id(), "painted", 1, "{}")])
            .view::<ListProjection>()
            .then_stuck(2);
    });
    assert!(
        told.starts_with("another event cannot be folded\n"),
        "{told}"
    );
}

/// Treats a document that is not in memory as one that does not exist.
#[derive(Debug)]
struct Forgetful;

impl Projection for Forgetful {
    const NAME: &'static str = "forgetful";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &["List"];

    type Document = u32;

    fn fold(event: &Envelope, documents: &mut Documents<u32>) -> Result<(), FoldError> {
        let key = &event.stream.aggregate_id;
        let before = documents.get(key).ok().flatten().copied();
        match documents.put(key.as_str(), before.unwrap_or(0) + 1) {
            Err(FoldError::NotLoaded(key)) => documents.put(format!("{key}, too"), 1),
            outcome => outcome,
        }
    }

    fn place(_: &u32) -> Option<Place> {
        None
    }
}

#[test]
fn view_fails_for_a_projection_that_hides_a_missing_document() {
    let told = failure_of(|| {
        drop(given([created()]).view::<Forgetful>());
    });
    let expected = "the result depends on which documents are in memory\n";
    assert!(told.starts_with(expected), "{told}");
}
