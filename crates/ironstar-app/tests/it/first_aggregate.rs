//! The code of `docs/FIRST_AGGREGATE.md`. A test of `xtask` checks that the page shows exactly
//! this code.

use std::time::Duration;

use ironstar_app::process::{Executor, NotExecuted, Reaction, State};
use ironstar_app::projection::{Documents, FoldError, Projection, Projections};
use ironstar_app::test_kit::{happened, stored};
use ironstar_app::{CommandContext, CommandError, CommandHandler, ProcessManager, decode};
use ironstar_domain::test_kit::{check_laws, given};
use ironstar_domain::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Refusal, UpcastError,
};
use ironstar_ports::{Envelope, Place};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::macros::datetime;
use uuid::Uuid;

use crate::support::{World, handler, memory_store};

// The events of a book, and its commands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BookEvent {
    Added { title: String, shelf: String },
    Lent { to: String },
    Returned,
}

#[derive(Clone, Debug)]
enum BookCommand {
    Add { title: String, shelf: String },
    Lend { to: String },
    Return,
}

// The state of a book, as far as decisions need it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
enum BookState {
    #[default]
    Unknown,
    In,
    Out {
        with: String,
    },
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum BookError {
    #[error("there is no such book")]
    NotFound,
    #[error("this book is in the library already")]
    AlreadyAdded,
    #[error("{0} has this book")]
    Out(String),
    #[error("this book is in")]
    In,
}

// The decisions.
impl Aggregate for BookState {
    const TYPE: &'static str = "Book";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("first_aggregate.rs")]);

    type Id = Uuid;
    type Command = BookCommand;
    type Event = BookEvent;
    type Error = BookError;

    fn handle(&self, command: &BookCommand) -> Result<Vec<BookEvent>, BookError> {
        match (self, command.clone()) {
            (Self::Unknown, BookCommand::Add { title, shelf }) => {
                Ok(vec![BookEvent::Added { title, shelf }])
            }
            (Self::Unknown, BookCommand::Lend { .. } | BookCommand::Return) => {
                Err(BookError::NotFound)
            }
            (Self::In | Self::Out { .. }, BookCommand::Add { .. }) => Err(BookError::AlreadyAdded),
            (Self::In, BookCommand::Lend { to }) => Ok(vec![BookEvent::Lent { to }]),
            (Self::In, BookCommand::Return) => Err(BookError::In),
            (Self::Out { with }, BookCommand::Lend { .. }) => Err(BookError::Out(with.clone())),
            (Self::Out { .. }, BookCommand::Return) => Ok(vec![BookEvent::Returned]),
        }
    }

    fn apply(self, event: &BookEvent) -> Self {
        match (self, event) {
            (Self::Unknown, BookEvent::Added { .. }) => Self::In,
            (Self::In, BookEvent::Lent { to }) => Self::Out { with: to.clone() },
            (Self::Out { .. }, BookEvent::Returned) => Self::In,
            (state, BookEvent::Added { .. } | BookEvent::Lent { .. } | BookEvent::Returned) => {
                state
            }
        }
    }
}

impl DomainEvent for BookEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::lifted("added", &[added_has_a_shelf]),
        EventSchema::new("lent"),
        EventSchema::new("returned"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Lent { .. } => "lent",
            Self::Returned => "returned",
        }
    }
}

impl DomainError for BookError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::NotFound => Refusal::not_found("book-not-found"),
            Self::AlreadyAdded => Refusal::conflict("book-already-added"),
            Self::Out(_) => Refusal::conflict("book-out"),
            Self::In => Refusal::conflict("book-in"),
        }
    }
}

// From version 1 to version 2 of `added`.
fn added_has_a_shelf(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("shelf".to_owned(), "unsorted".into());
    Ok(())
}

fn emma() -> BookEvent {
    BookEvent::Added {
        title: "Emma".to_owned(),
        shelf: "novels".to_owned(),
    }
}

fn lend(to: &str) -> BookCommand {
    BookCommand::Lend { to: to.to_owned() }
}

fn lent(to: &str) -> BookEvent {
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

// The holder of each book.
#[derive(Debug)]
struct LoanProjection;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Loan {
    title: String,
    with: Option<String>,
}

impl Projection for LoanProjection {
    const NAME: &'static str = "loans";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[BookState::TYPE];

    type Document = Loan;

    fn fold(event: &Envelope, documents: &mut Documents<Loan>) -> Result<(), FoldError> {
        let (id, happened) = decode::<BookState>(event)?;
        let key = id.to_string();
        let loan = match (documents.get(&key)?.cloned(), happened) {
            (None, BookEvent::Added { title, .. }) => Loan { title, with: None },
            (Some(loan), BookEvent::Lent { to }) => Loan {
                with: Some(to),
                ..loan
            },
            (Some(loan), BookEvent::Returned) => Loan { with: None, ..loan },
            (Some(_), BookEvent::Added { .. })
            | (None, BookEvent::Lent { .. } | BookEvent::Returned) => return Ok(()),
        };
        documents.put(key, loan)
    }

    fn place(loan: &Loan) -> Option<Place> {
        loan.with.as_ref().map(|with| Place {
            collection: "out".to_owned(),
            sort: with.clone(),
        })
    }
}

#[test]
fn book_that_is_out_is_listed_with_its_holder() {
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
    assert_eq!(view.listed("out"), [&loan(Some("Ada"))]);
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

// The use case.
async fn borrow(
    commands: &CommandHandler,
    book: Uuid,
    who: &str,
) -> Result<(), CommandError<BookError>> {
    let context = CommandContext::default();
    commands
        .execute::<BookState>(&book, &lend(who), &context)
        .await?;
    Ok(())
}

#[tokio::test]
async fn unknown_book_is_not_lent() {
    let commands = handler(memory_store());
    let refused = borrow(&commands, Uuid::from_u128(7), "Ada").await;
    let refused = refused.expect_err("there is no such book");
    assert_eq!(refused.to_string(), "there is no such book");
}

// The process manager: a book that has been out for a long time is called back.
#[derive(Debug)]
struct RecallLoans;

impl ProcessManager for RecallLoans {
    const NAME: &'static str = "recall-loans";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[BookState::TYPE];

    type State = ();
    type Command = Uuid;

    fn react(
        event: &Envelope,
        _state: &mut State<'_, (), Uuid>,
    ) -> Result<Reaction<Uuid>, FoldError> {
        let (book, happened) = decode::<BookState>(event)?;
        let reaction = Reaction::nothing();
        Ok(match happened {
            BookEvent::Lent { .. } => reaction.and_later(book.to_string(), event.created_at, book),
            BookEvent::Returned => reaction.and_never(book.to_string()),
            BookEvent::Added { .. } => reaction,
        })
    }
}

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

// The executor, which runs the steps.
struct Librarian(CommandHandler);

impl Executor<Uuid> for Librarian {
    async fn execute(&self, book: &Uuid, context: &CommandContext) -> Result<(), NotExecuted> {
        self.0
            .execute::<BookState>(book, &BookCommand::Return, context)
            .await?;
        Ok(())
    }
}

// The start: a book is called back after 28 days.
fn recall_loans(projections: &Projections, commands: &CommandHandler) {
    let librarian = Librarian(commands.clone());
    let patience = Duration::from_secs(28 * 24 * 60 * 60);
    projections.manage::<RecallLoans, _>(commands.clone(), librarian, patience);
}

#[tokio::test(start_paused = true)]
async fn book_that_has_been_out_for_a_long_time_is_called_back() {
    let world = World::new().await;
    let commands = handler(world.events.clone());
    let book = Uuid::from_u128(7);
    let context = CommandContext::default();
    let add = BookCommand::Add {
        title: "Emma".to_owned(),
        shelf: "novels".to_owned(),
    };
    let added = commands.execute::<BookState>(&book, &add, &context).await;
    added.expect("the book is new");
    borrow(&commands, book, "Ada")
        .await
        .expect("the book is in");
    recall_loans(&world.projections, &commands);
    let seen = commands.see::<BookState, BookError>(&book).await;
    assert_ne!(seen.expect("read").state, BookState::In);
    let librarian = Librarian(commands.clone());
    world
        .projections
        .manage::<RecallLoans, _>(commands.clone(), librarian, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let seen = commands.see::<BookState, BookError>(&book).await;
    assert_eq!(seen.expect("read").state, BookState::In);
}
