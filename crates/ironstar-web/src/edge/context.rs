//! The facts about the site that every request carries.

use std::sync::Arc;

use crate::edge::rate::CommandRate;
use crate::site::{Navigation, Site};

/// The facts about the site that handlers and extractors need. It is a request extension
/// behind an [`Arc`].
#[derive(Debug)]
pub(crate) struct SiteContext {
    pub(crate) site: Site,
    /// The name of the provider with which visitors sign in; `None` if they cannot.
    pub(crate) provider: Option<Arc<str>>,
    /// The links above every page.
    pub(crate) navigation: Vec<Navigation>,
    pub(crate) rate: Arc<CommandRate>,
}
