use ironstar_domain::test_kit::{check_laws, given};

use super::{BookCommand, BookError, BookEvent, BookState};

pub(crate) fn emma() -> BookEvent {
    BookEvent::Added {
        title: "Emma".to_owned(),
        shelf: "novels".to_owned(),
    }
}

pub(crate) fn lend(to: &str) -> BookCommand {
    BookCommand::Lend { to: to.to_owned() }
}

pub(crate) fn lent(to: &str) -> BookEvent {
    BookEvent::Lent { to: to.to_owned() }
}

#[test]
fn book_is_lent_to_one_reader_at_a_time() {
    given::<BookState>([emma()])
        .when(lend("Ada"))
        .then([lent("Ada")])
        .and_when(lend("Bob"))
        .then_refused(BookError::Out("Ada".to_owned()))
        .and([BookEvent::Returned])
        .when(lend("Bob"))
        .then([lent("Bob")]);
}

#[test]
fn book_keeps_the_laws_under_all_commands() {
    check_laws::<BookState>([
        BookCommand::Add {
            title: "Emma".to_owned(),
            shelf: "novels".to_owned(),
        },
        lend("Ada"),
        lend("Bob"),
        BookCommand::Return,
    ]);
}
