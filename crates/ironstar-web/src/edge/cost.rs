//! The cost of a command, as its handler states it.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::edge::client::Client;
use crate::edge::context::SiteContext;
use crate::edge::problem::Problem;
use crate::edge::rate::Charge;

/// The cost, in commands, of a command that may change ten thousand aggregates, and of the
/// beginning of a sign-in, which asks the provider.
pub const HEAVY: u32 = 10;

/// The cost of a request, in commands. Each handler of a command states it with this extractor.
/// The extractor comes first, so that a refused request costs nothing else.
#[derive(Debug)]
pub struct Cost<const COMMANDS: u32 = 1>(pub(crate) Charge);

impl<const COMMANDS: u32, S: Sync> FromRequestParts<S> for Cost<COMMANDS> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        const { assert!(COMMANDS > 0, "a command costs something") };
        let Ok(client) = Client::from_request_parts(parts, state).await;
        let context: Option<&Arc<SiteContext>> = parts.extensions.get();
        let context = context.ok_or_else(|| {
            tracing::error!("a request did not come through the router of the site");
            Problem::no_such_page()
        })?;
        let commands = NonZeroU32::new(COMMANDS).unwrap_or(NonZeroU32::MIN);
        Charge::commands(&context.rate, client, commands).map(Self)
    }
}
