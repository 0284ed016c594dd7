//! The services of the other layers that the web layer uses.

use std::sync::Arc;
use std::time::Duration;

use ironstar_app::access::Gates;
use ironstar_app::caller::Links;
use ironstar_app::history::Resolved;
use ironstar_app::projection::Behind;
use ironstar_app::{CommandHandler, EventFeed, Features, Projection, Projections, ReadModel};
use ironstar_ports::{
    Clock, EventBus, EventStore, IdSource, IdentityProvider, LogPlace, Position, SessionStore,
    StoreError,
};
use tokio_util::sync::CancellationToken;

/// The services that the web layer uses.
#[derive(Clone, Debug)]
pub struct Services {
    /// The features of the application.
    pub features: Features,
    /// The handler of commands on any aggregate.
    pub commands: CommandHandler,
    /// The log, as a live stream.
    pub feed: EventFeed,
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The read models that pages show.
    pub projections: Projections,
    /// The rights of callers to aggregates with owners.
    pub gates: Gates,
    /// The links that open aggregates to visitors who do not own them.
    pub links: Links,
    /// The bus that carries news about a visitor to all nodes.
    pub bus: Arc<dyn EventBus>,
    /// The stored sessions of visitors.
    pub sessions: Arc<dyn SessionStore>,
    /// The identity provider; `None` if visitors cannot sign in.
    pub identities: Option<Arc<dyn IdentityProvider>>,
    /// The time, for sessions. They expire by its steady time, so a wrong clock of the machine
    /// ends no session.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and secrets.
    pub ids: Arc<dyn IdSource>,
    /// Ends every open stream, so that clients reconnect elsewhere.
    pub shutdown: CancellationToken,
}

impl Services {
    /// The longest time that a request waits for a read model.
    pub const CATCH_UP: Duration = Duration::from_secs(2);

    /// Waits as [`catch_up`](Self::catch_up), before a live view of the read model begins. So the
    /// view includes everything that its visitor has seen. A view that begins too early catches
    /// up by itself, so being late is no error.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn settle<P: Projection>(&self, model: &ReadModel<P>) -> Result<(), StoreError> {
        if let Err(behind) = self.catch_up(model).await? {
            tracing::debug!(%behind, "a live view begins before the read model has reached the head of the log");
        }
        Ok(())
    }

    /// Waits until a read model includes all events that are stored now. So visitors see the
    /// changes that they have just made. The inner error says that the read model did not get
    /// there in time.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn catch_up<P: Projection>(
        &self,
        model: &ReadModel<P>,
    ) -> Result<Result<(), Behind>, StoreError> {
        let head = self.store.head().await?;
        Ok(model.reach(head, Self::CATCH_UP).await)
    }

    /// The position that an answer must include, for a request that names a place (`at_least`).
    /// Without a place, it is the end of the log. The inner error says that the log does not have
    /// the place.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn wanted(
        &self,
        at_least: Option<LogPlace>,
    ) -> Result<Result<Position, OtherHistory>, StoreError> {
        let Some(place) = at_least else {
            return Ok(Ok(self.store.head().await?));
        };
        Ok(match self.feed.resolve(place).await? {
            Resolved::Elsewhere => Err(OtherHistory(place)),
            Resolved::Here(_) | Resolved::Beyond => Ok(place.position),
        })
    }
}

/// A place that the log does not have, because a backup was restored over it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the log does not have {0}, because a backup was restored over it; discard what was read \
     before, and ask again without this place"
)]
pub struct OtherHistory(pub LogPlace);
