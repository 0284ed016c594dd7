//! The parts of a feature that the site must know.

use std::sync::Arc;

use axum::Router;
use ironstar_app::HandOver;

use crate::account::news::PrivateNews;
use crate::services::Services;
pub(crate) use crate::site::Navigation;

/// Makes the use case that hands over.
pub(crate) type MakeHandOver = fn(&Services) -> Arc<dyn HandOver>;

/// A feature, as it registers with the site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feature {
    pub(crate) routes: fn(&Services, &PrivateNews) -> Router,
    /// Its links above every page.
    pub(crate) navigation: &'static [Navigation],
    /// Gives what a guest owns to the user that the guest has become. A feature with an owner
    /// needs it.
    pub(crate) hand_over: Option<MakeHandOver>,
}
