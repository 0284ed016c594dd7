//! The facts about the site that every request carries.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::edge::rate::CommandRate;
use crate::site::{Navigation, Site, SiteName};

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

/// Handlers get the name of their site.
impl<S: Sync> FromRequestParts<S> for SiteName {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let context = parts.extensions.get::<Arc<SiteContext>>();
        Ok(context.map(|context| context.site.name).unwrap_or_default())
    }
}
