//! The parts of a feature that the site must know.

use std::fmt;

use axum::Router;

use crate::account::news::PrivateNews;
use crate::services::Services;
pub use crate::site::Navigation;

type MakeRoutes = dyn FnOnce(&Services, &PrivateNews) -> Router;

/// A feature, as it registers with the site.
pub struct Feature {
    pub(crate) routes: Box<MakeRoutes>,
    pub(crate) navigation: &'static [Navigation],
}

impl Feature {
    /// A feature with these routes.
    ///
    /// The checks of the site rely on these rules:
    ///
    /// - A `GET` changes nothing. Other sites can send one with the visitor's cookie.
    /// - The first parameter of a handler of a `POST` is a [`Cost`](crate::edge::cost::Cost).
    ///   Otherwise its rate is not limited.
    /// - The path of a stream begins with `/api/sse/`. Otherwise it does not count against the
    ///   streams of its client. Its layer is
    ///   [`drawn_for::check`](crate::session::drawn_for::check), so that a page which was drawn
    ///   for another visitor is loaded again.
    /// - One feature of the site serves `/`, to which every page links.
    ///
    /// The site refuses to start if two features have the same path, or if one has a path of
    /// the site: `/api/sse/bundle`, `/api/events`, `/api/session`, `/sign-in`, `/sign-in/callback`,
    /// `/sign-out`, `/static/…`, `/styleguide` and `/theme`.
    pub fn new(routes: impl FnOnce(&Services, &PrivateNews) -> Router + 'static) -> Self {
        Self {
            routes: Box::new(routes),
            navigation: &[],
        }
    }

    /// The same feature with links above every page.
    #[must_use]
    pub fn with_navigation(self, navigation: &'static [Navigation]) -> Self {
        Self { navigation, ..self }
    }
}

impl fmt::Debug for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feature")
            .field("navigation", &self.navigation)
            .finish_non_exhaustive()
    }
}
