//! Books that have been out for a long time are called back.

use std::time::Duration;

use ironstar_app::process::{Executor, NotExecuted, Reaction, State};
use ironstar_app::projection::FoldError;
use ironstar_app::{CommandContext, CommandHandler, ProcessManager, Projections, decode};
use ironstar_domain::Aggregate;
use ironstar_ports::Envelope;
use uuid::Uuid;

use crate::book::{BookCommand, BookEvent, BookState};

/// A book that has been out for a long time is called back.
#[derive(Debug)]
pub struct RecallLoans;

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

/// The executor, which runs the steps.
#[derive(Debug)]
pub struct Librarian(CommandHandler);

impl Executor<Uuid> for Librarian {
    async fn execute(&self, book: &Uuid, context: &CommandContext) -> Result<(), NotExecuted> {
        self.0
            .execute::<BookState>(book, &BookCommand::Return, context)
            .await?;
        Ok(())
    }
}

/// Starts the process manager: a book is called back after this time.
pub fn recall_loans(projections: &Projections, commands: &CommandHandler, patience: Duration) {
    let librarian = Librarian(commands.clone());
    projections.manage::<RecallLoans, _>(commands.clone(), librarian, patience);
}

#[cfg(test)]
mod tests;
