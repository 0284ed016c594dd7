//! Handing over what one owner has to another, as when a guest signs in.

use std::error::Error;
use std::fmt::Debug;

use futures::future::BoxFuture;
use ironstar_domain::Principal;

use crate::command::CommandContext;

/// Gives all aggregates of one kind to another owner. Each feature whose aggregates have owners
/// implements it, so that no guest loses anything by signing in.
pub trait HandOver: Debug + Send + Sync {
    /// Hands over all that one owner has, or nothing. To hand over nothing is no error, so it may
    /// be tried again.
    ///
    /// # Errors
    ///
    /// If the aggregates of the owner are not known, or the commands had no effect.
    fn hand_over<'a>(
        &'a self,
        from: Principal,
        to: Principal,
        context: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotHandedOver>>;
}

/// The reason why nothing was handed over.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotHandedOver(Box<dyn Error + Send + Sync>);

impl NotHandedOver {
    /// A reason.
    #[must_use]
    pub fn because(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}
