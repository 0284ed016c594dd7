//! The features of the site, and the one place where they register.
//!
//! Each feature is one module and one [`Feature`]. Everything outside of this folder works for
//! any of them, except for the router, which joins them.

mod list;
mod todo;

use crate::feature::Feature;

/// All features.
pub(crate) const FEATURES: &[Feature] = &[todo::FEATURE, list::FEATURE];
