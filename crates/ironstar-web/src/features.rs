//! The features of the site, and the one place where they register.
//!
//! Each feature is one module and one [`Feature`]. Everything outside of this folder works for
//! any of them.

mod list;
mod todo;

use crate::feature::Feature;

pub use todo::Home;

/// All features.
#[must_use]
pub fn features(home: Home) -> Vec<Feature> {
    vec![todo::feature(home), list::feature()]
}
