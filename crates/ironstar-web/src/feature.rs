//! The parts of a feature that the site must know.

use axum::Router;

use crate::account::news::PrivateNews;
use crate::services::Services;
pub(crate) use crate::site::Navigation;

/// A feature, as it registers with the site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feature {
    pub(crate) routes: fn(&Services, &PrivateNews) -> Router,
    /// Its links above every page.
    pub(crate) navigation: &'static [Navigation],
}
