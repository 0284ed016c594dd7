//! The services of the other layers that the web layer uses.

use std::sync::Arc;

use ironstar_app::access::Gates;

use ironstar_app::caller::Links;
use ironstar_app::{CommandHandler, EventFeed, Projections};
use ironstar_ports::{Clock, EventBus, EventStore, IdSource, IdentityProvider, SessionStore};
use tokio_util::sync::CancellationToken;

/// The services that the web layer uses.
#[derive(Clone, Debug)]
pub struct Services {
    /// The handler of commands on any aggregate.
    pub commands: CommandHandler,
    /// The log, as a live stream.
    pub feed: EventFeed,
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// The read models that pages show.
    pub projections: Projections,
    /// The rights of subscribers to lists.
    pub gates: Gates,
    /// The links that open lists to visitors who do not own them.
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
