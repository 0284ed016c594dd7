//! Notes and remarks, a small application for tests of the engine. It declares only what an
//! application declares, and the engine knows nothing of it.
//!
//! - [`note`]: a text with an owner.
//! - [`notes`]: the notes of each owner, and their [`FEATURE`](notes::FEATURE).
//! - [`remark`]: a part of a note.
//! - [`remarks`]: the remarks on each note, and their [`FEATURE`](remarks::FEATURE).
//! - [`closing`]: a process manager of remarks.
//! - [`site`]: all of this on a site, with all that an application registers.

pub mod closing;
pub mod note;
pub mod notes;
pub mod remark;
pub mod remarks;
pub mod site;
