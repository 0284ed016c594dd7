//! Notes and remarks on a site: pages that work without JavaScript, their live streams, and
//! commands and queries for programs. Only public parts of the engine are used.
//!
//! - `notes`: the notes of a visitor.
//! - `remarks`: one note with its remarks, and the start page, which is the open note.

mod asked;
mod notes;
mod remarks;

use ironstar_app::Features;
use ironstar_web::Feature;

/// Notes and remarks, as they register with the application.
pub const FEATURES: Features = Features::new(&[crate::notes::FEATURE, crate::remarks::FEATURE]);

/// Notes and remarks, as they register with the site.
#[must_use]
pub fn features() -> Vec<Feature> {
    vec![notes::feature(), remarks::feature()]
}
