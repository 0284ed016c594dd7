//! The notes of each owner, which are handed over when a guest signs in.

use std::error::Error;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::process::NotExecuted;
use ironstar_app::projection::{Documents, FoldError};
use ironstar_app::{CommandContext, CommandHandler, HandOver, Projection, ReadModel, decode};
use ironstar_domain::{Aggregate, Principal};
use ironstar_ports::{DocumentPage, Envelope, Place};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::note::{NoteCommand, NoteError, NoteEvent, NoteState};

/// Lists the notes by owner.
#[derive(Debug)]
pub(super) struct NoteProjection;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct NoteItem {
    id: Uuid,
    owner: Option<Principal>,
}

#[derive(Debug)]
pub(super) struct NoteService {
    pub(super) commands: CommandHandler,
    pub(super) model: ReadModel<NoteProjection>,
}

impl Projection for NoteProjection {
    const NAME: &'static str = "notes";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[NoteState::TYPE];

    type Document = NoteItem;

    fn fold(event: &Envelope, documents: &mut Documents<NoteItem>) -> Result<(), FoldError> {
        let (id, happened) = decode::<NoteState>(event)?;
        let owner = match happened {
            NoteEvent::Created { owner, .. } => owner,
            NoteEvent::HandedOver { to } => Some(to),
            NoteEvent::Rewritten { .. }
            | NoteEvent::LinkCreated(_)
            | NoteEvent::LinkRevoked { .. } => return Ok(()),
        };
        documents.put(id.to_string(), NoteItem { id, owner })
    }

    fn place(note: &NoteItem) -> Option<Place> {
        note.owner.map(|owner| Place {
            collection: owner.to_string(),
            sort: String::new(),
        })
    }
}

impl NoteService {
    async fn hand_over_all(
        &self,
        from: Principal,
        to: Principal,
        context: &CommandContext,
    ) -> Result<(), NotExecuted> {
        let head = self.commands.head::<NoteError>().await?;
        let failed = |error: Box<dyn Error + Send + Sync>| NotExecuted::Failed(error);
        let reached = self.model.reach(head, Duration::from_secs(2)).await;
        reached.map_err(|behind| failed(behind.into()))?;
        let page = DocumentPage {
            collections: vec![from.to_string()],
            after: None,
            limit: 10_000,
        };
        let found = self.model.find(Vec::new(), Some(page)).await;
        let notes = found.map_err(|error| failed(error.into()))?.page;
        let ids: Vec<_> = notes.into_iter().map(|(_, note)| note.id).collect();
        let command = NoteCommand::HandOver {
            from: Some(from),
            to,
        };
        let handed_over = self
            .commands
            .execute_on_all::<NoteState>(&ids, &command, context);
        handed_over.await?;
        Ok(())
    }
}

impl HandOver for NoteService {
    fn hand_over<'a>(
        &'a self,
        from: Principal,
        to: Principal,
        context: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotExecuted>> {
        self.hand_over_all(from, to, context).boxed()
    }
}
