//! What every request carries of the site.

use std::sync::Arc;

use crate::edge::rate::CommandRate;
use crate::site::Site;

/// What handlers and extractors may need of the site, as a request extension behind an
/// [`Arc`].
#[derive(Debug)]
pub(crate) struct SiteContext {
    pub(crate) site: Site,
    /// The name of the provider with which visitors sign in, if they can.
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) rate: Arc<CommandRate>,
}
