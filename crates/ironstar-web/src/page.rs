//! The parts of every page.
//!
//! This room knows nothing of routes or features.
//!
//! - [`layout`] is the frame around a page.
//! - [`kit`] and [`icon`] are the parts of pages. `styleguide` shows them.
//! - `problem` draws a refusal.
//! - [`notice`] tells on a page why a command was refused.
//! - `theme` draws the choice of light or dark pages.
//! - `assets` serves the style sheet, the scripts and the icon.

pub(crate) mod assets;
pub mod icon;
pub mod kit;
pub mod layout;
pub mod notice;
pub(crate) mod problem;
#[cfg(debug_assertions)]
pub(crate) mod styleguide;
pub(crate) mod theme;
