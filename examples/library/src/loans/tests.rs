use ironstar_app::test_kit::{happened, stored};
use uuid::Uuid;

use super::{Loan, LoanProjection};
use crate::book::tests::{emma, lent};
use crate::book::{BookEvent, BookState};

#[test]
fn book_is_listed_with_its_holder() {
    let id = Uuid::from_u128(7);
    let loan = |with: Option<&str>| Loan {
        title: "Emma".to_owned(),
        with: with.map(str::to_owned),
    };
    let view = ironstar_app::test_kit::given([
        happened::<BookState>(id, emma()),
        happened::<BookState>(id, lent("Ada")),
    ])
    .view::<LoanProjection>()
    .then([(id.to_string(), loan(Some("Ada")))]);
    assert_eq!(view.listed("books"), [&loan(Some("Ada"))]);
    view.and([happened::<BookState>(id, BookEvent::Returned)])
        .then([(id.to_string(), loan(None))]);
}

#[test]
fn book_from_before_there_were_shelves_is_still_readable() {
    let id = Uuid::from_u128(7);
    let old = r#"{"type":"added","title":"Emma"}"#;
    let loan = Loan {
        title: "Emma".to_owned(),
        with: None,
    };
    ironstar_app::test_kit::given([stored::<BookState>(id, "added", 1, old)])
        .view::<LoanProjection>()
        .then([(id.to_string(), loan)]);
}
