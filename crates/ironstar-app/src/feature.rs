//! The parts of a feature that the application must know.

use crate::access::AudienceRule;
use crate::projection::Registered;

/// A feature, as it registers with the application. A test compares it with the code of the
/// feature, and names what is missing.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its projections and process managers.
    pub projections: &'static [Registered],
    /// The audiences of its events. The events of an aggregate without an audience reach no
    /// program.
    pub audiences: &'static [AudienceRule],
}
