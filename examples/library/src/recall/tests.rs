use ironstar_app::test_kit::happened;
use time::macros::datetime;
use uuid::Uuid;

use super::RecallLoans;
use crate::book::tests::{emma, lent};
use crate::book::{BookEvent, BookState};

#[test]
fn book_that_is_out_has_a_timer_until_it_is_returned() {
    let id = Uuid::from_u128(7);
    let monday = datetime!(2026-11-23 12:00 UTC);
    ironstar_app::test_kit::given([
        happened::<BookState>(id, emma()),
        happened::<BookState>(id, lent("Ada")).at(monday),
    ])
    .process::<RecallLoans>()
    .then_waits([(monday, id)])
    .and([happened::<BookState>(id, BookEvent::Returned)])
    .then_nothing();
}
