use std::panic::catch_unwind;

use ironstar_domain::{Aggregate, OwnedEvent};
use ironstar_fixtures::note::{NoteEvent, NoteState};
use ironstar_ports::{Envelope, Place, Sequence};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::decode;
use crate::projection::{Documents, FoldError, Projection};
use crate::test_kit::{Happened, given, happened, stored};

const ID: Uuid = Uuid::from_u128(7);

/// The texts of notes.
#[derive(Debug)]
struct Texts;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Shown {
    text: String,
}

impl Projection for Texts {
    const NAME: &'static str = "texts";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[NoteState::TYPE];

    type Document = Shown;

    fn fold(event: &Envelope, texts: &mut Documents<Shown>) -> Result<(), FoldError> {
        let (id, happened) = decode::<NoteState>(event)?;
        match happened {
            OwnedEvent::Own(NoteEvent::Created { text, .. } | NoteEvent::Rewritten { text }) => {
                texts.put(id.to_string(), Shown { text })
            }
            OwnedEvent::Ownership(_) => Ok(()),
        }
    }

    fn place(_: &Shown) -> Option<Place> {
        None
    }
}

fn created() -> Happened {
    let text = "Food".to_owned();
    happened::<NoteState>(ID, NoteEvent::Created { text, owner: None })
}

fn rewritten() -> Happened {
    let text = "Fun".to_owned();
    happened::<NoteState>(ID, NoteEvent::Rewritten { text })
}

fn painted() -> Happened {
    stored::<NoteState>(ID, "painted", 1, "{}")
}

fn item() -> (String, Shown) {
    let text = "Food".to_owned();
    (ID.to_string(), Shown { text })
}

fn failure_of(check: fn()) -> String {
    let panic = catch_unwind(check).expect_err("the check must fail");
    *panic.downcast::<String>().expect("a panic with a text")
}

#[test]
fn events_get_their_places_in_the_given_order() {
    let text = "Fun".to_owned();
    let other = happened::<NoteState>(Uuid::nil(), NoteEvent::Rewritten { text });
    let given = given([created(), other]).and([rewritten()]);
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
        given([created(), rewritten()])
            .view::<Texts>()
            .then([item()]);
    });
    let expected = "the projection holds other documents\n\
         given:\n    \
         1: Note 00000000-0000-0000-0000-000000000007 created v1 {\"type\":\"created\",\"text\":\"Food\",\"owner\":null}\n    \
         2: Note 00000000-0000-0000-0000-000000000007 rewritten v1 {\"type\":\"rewritten\",\"text\":\"Fun\"}\n\
         then (- expected, + got):\n";
    assert!(told.starts_with(expected), "{told}");
    assert!(
        told.contains("\n    -     text: \"Food\",\n    +     text: \"Fun\",\n"),
        "{told}"
    );
}

#[test]
fn view_finds_missing_and_surplus_documents() {
    let nothing = failure_of(|| {
        given([created()]).view::<Texts>().then_nothing();
    });
    assert!(
        nothing.contains("\n    - nothing\n    + 00000000"),
        "{nothing}"
    );
    let one = failure_of(|| {
        given([]).view::<Texts>().then([item()]);
    });
    assert!(
        one.starts_with("the projection holds other documents\ngiven:\n    nothing\n"),
        "{one}"
    );
    assert!(one.ends_with("\n    + nothing"), "{one}");
}

#[test]
fn expectation_of_documents_fails_when_an_event_cannot_be_folded() {
    given([created(), painted()]).view::<Texts>().then_stuck(2);
    let told = failure_of(|| {
        given([created(), painted()]).view::<Texts>().then([item()]);
    });
    assert!(
        told.contains("+ stuck at position 2: the \"painted\" event"),
        "{told}"
    );
    let told = failure_of(|| {
        given([created()]).view::<Texts>().then_stuck(1);
    });
    assert!(told.starts_with("every event is folded\n"), "{told}");
    let told = failure_of(|| {
        given([painted()]).view::<Texts>().then_stuck(2);
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
    const AGGREGATES: &'static [&'static str] = &[NoteState::TYPE];

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
