//! The parts of a feature that the application must know.

use std::sync::Arc;

use crate::access::AudienceRule;
use crate::command::CommandHandler;
use crate::hand_over::HandOver;
use crate::projection::{Projections, Registered};

/// Makes the use case that hands over the aggregates of a feature.
pub type MakeHandOver = fn(&CommandHandler, &Projections) -> Arc<dyn HandOver>;

/// A feature, as it registers with the application. A test compares it with the code of the
/// feature, and names what is missing.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its projections and process managers.
    pub projections: &'static [Registered],
    /// The audiences of its events. The events of an aggregate without an audience reach no
    /// program.
    pub audiences: &'static [AudienceRule],
    /// Gives what a guest owns to the user that the guest has become. A feature whose aggregates
    /// have owners needs it.
    pub hand_over: Option<MakeHandOver>,
}
