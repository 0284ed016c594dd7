//! What the web layer works on.

use std::sync::Arc;

use ironstar_app::access::Gates;

use ironstar_app::caller::Links;
use ironstar_app::{CommandHandler, EventFeed, Projections};
use ironstar_ports::{Clock, EventBus, EventStore, IdSource, IdentityProvider, SessionStore};
use tokio_util::sync::CancellationToken;

/// What the web layer works on.
#[derive(Clone, Debug)]
pub struct Services {
    /// Decides commands on any aggregate.
    pub commands: CommandHandler,
    /// The log, as a stream.
    pub feed: EventFeed,
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// What pages show of the log.
    pub projections: Projections,
    /// Who may watch which lists.
    pub gates: Gates,
    /// The links that let others see lists.
    pub links: Links,
    /// What visitors hear of themselves, on whichever node.
    pub bus: Arc<dyn EventBus>,
    /// Who comes back.
    pub sessions: Arc<dyn SessionStore>,
    /// Who knows who people are; nobody, if people cannot sign in.
    pub identities: Option<Arc<dyn IdentityProvider>>,
    /// The time, for sessions: they expire by its steady time, so that a machine whose clock
    /// is wrong forgets none.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub ids: Arc<dyn IdSource>,
    /// Ends every open stream, so that clients reconnect elsewhere.
    pub shutdown: CancellationToken,
}
