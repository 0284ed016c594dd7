//! The public address of the site, for links that visitors use outside it.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::edge::context::SiteContext;
use crate::edge::hosts::RequestHost;

/// The public address of the site, such as `https://example.org`: the configured address, or
/// else the host of the request. It is empty if there is neither.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BaseAddress(String);

impl Display for BaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for BaseAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let context = parts.extensions.get::<Arc<SiteContext>>();
        if let Some(address) = context.and_then(|context| context.site.address.as_ref()) {
            return Ok(Self(address.to_string()));
        }
        let host = parts.extensions.get::<RequestHost>();
        let address = host.map(|RequestHost(host)| format!("http://{host}"));
        Ok(Self(address.unwrap_or_default()))
    }
}
