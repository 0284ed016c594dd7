//! Handing over by a read model that lists the aggregates of each owner.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_domain::{Aggregate, Owned, OwnershipCommand, Principal};
use ironstar_ports::DocumentPage;

use super::HandOver;
use crate::command::{CommandContext, CommandHandler};
use crate::process::NotExecuted;
use crate::projection::{Behind, Projection, Projections, ReadModel};

/// The most aggregates of a collection that one command hands over.
const MOST: usize = 10_000;

/// The time that a hand-over waits for the read model.
const CATCH_UP: Duration = Duration::from_secs(2);

/// A projection that lists the aggregates of each owner. The key of a document is the id of its
/// aggregate.
pub trait ByOwner: Projection {
    /// The aggregate.
    type Aggregate: Owned;

    /// The collections that contain all aggregates of an owner.
    fn collections(owner: Principal) -> Vec<String>;
}

/// Hands over all that is listed by the projection `P`, as a
/// [`MakeHandOver`](crate::MakeHandOver).
#[must_use]
pub fn hand_over_by<P: ByOwner>(
    commands: &CommandHandler,
    projections: &Projections,
) -> Arc<dyn HandOver> {
    Arc::new(Listed::<P> {
        commands: commands.clone(),
        model: projections.model(),
    })
}

#[derive(Debug)]
struct Listed<P: ByOwner> {
    commands: CommandHandler,
    model: ReadModel<P>,
}

/// The reason why the aggregates of an owner are not known.
#[derive(Debug, thiserror::Error)]
enum NotListed {
    #[error("the read model {name:?} is not up to date yet; try again in a moment")]
    Behind { name: &'static str, source: Behind },
    #[error("the key {key:?} of the read model {name:?} is no id")]
    NotAnId { name: &'static str, key: String },
}

impl<P: ByOwner> Listed<P> {
    /// The aggregates of an owner, as of now.
    async fn of(
        &self,
        owner: Principal,
    ) -> Result<Vec<<P::Aggregate as Aggregate>::Id>, NotExecuted> {
        let name = P::NAME;
        let head = self.commands.head::<<P::Aggregate as Aggregate>::Error>();
        let reached = self.model.reach(head.await?, CATCH_UP).await;
        reached.map_err(|source| failed(NotListed::Behind { name, source }))?;
        let mut ids = Vec::new();
        for collection in P::collections(owner) {
            let page = DocumentPage {
                collections: vec![collection],
                after: None,
                limit: MOST,
            };
            let found = self.model.find(Vec::new(), Some(page)).await;
            for (key, _) in found.map_err(failed)?.page {
                let id = key.parse();
                ids.push(id.map_err(|_| failed(NotListed::NotAnId { name, key }))?);
            }
        }
        Ok(ids)
    }
}

impl<P: ByOwner> HandOver for Listed<P> {
    fn hand_over<'a>(
        &'a self,
        from: Principal,
        to: Principal,
        context: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotExecuted>> {
        async move {
            let ids = self.of(from).await?;
            let from = Some(from);
            let command = OwnershipCommand::HandOver { from, to }.into();
            self.commands
                .execute_on_all::<P::Aggregate>(&ids, &command, context)
                .await?;
            Ok(())
        }
        .boxed()
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> NotExecuted {
    NotExecuted::Failed(error.into())
}
