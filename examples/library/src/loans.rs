//! The read model of all books, and the use cases.

use ironstar_app::process::Process;
use ironstar_app::projection::{Documents, FoldError, ReadError, Registered};
use ironstar_app::{
    Accepted, CommandContext, CommandError, CommandHandler, Feature, Projection, ReadModel, decode,
};
use ironstar_domain::Aggregate;
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::book::{BookCommand, BookError, BookEvent, BookState};
use crate::recall::RecallLoans;

/// Books, as they register with the application.
pub const FEATURE: Feature = Feature {
    projections: &[
        Registered::of::<LoanProjection>(),
        Registered::of::<Process<RecallLoans>>(),
    ],
    audiences: &[],
    hand_over: None,
};

/// The collection of all books.
const BOOKS: &str = "books";

/// The most books on the page.
pub const PAGE: usize = 500;

/// All books, each with its reader.
#[derive(Debug)]
pub struct LoanProjection;

/// A book, as pages show it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Loan {
    pub title: String,
    pub with: Option<String>,
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
        Some(Place {
            collection: BOOKS.to_owned(),
            sort: loan.title.clone(),
        })
    }
}

/// The use cases of books.
#[derive(Clone, Debug)]
pub struct BookService {
    pub commands: CommandHandler,
    pub model: ReadModel<LoanProjection>,
}

impl BookService {
    /// Carries out a command on a book.
    pub async fn execute(
        &self,
        book: Uuid,
        command: &BookCommand,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<BookError>> {
        self.commands
            .execute::<BookState>(&book, command, context)
            .await
    }

    /// The first books by title, with the place in the log up to which they are current.
    pub async fn books(&self) -> Result<(LogPlace, Vec<(String, Loan)>), ReadError> {
        let page = DocumentPage {
            collections: vec![BOOKS.to_owned()],
            after: None,
            limit: PAGE,
        };
        let found = self.model.find(Vec::new(), Some(page)).await?;
        Ok((found.place, found.page))
    }
}

#[cfg(test)]
mod tests;
