//! The features of the application, and the one place where they register.
//!
//! Each feature is one module and one [`Feature`](crate::Feature). Everything outside of this
//! folder works for any of them.

pub mod list;
pub mod todo;

use crate::feature::Features;

/// All features.
pub const FEATURES: Features = Features::new(&[todo::FEATURE, list::FEATURE]);
