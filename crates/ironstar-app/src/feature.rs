//! The parts of a feature that the application must know.

use std::sync::Arc;

use crate::access::{AudienceRule, Audiences};
use crate::command::CommandHandler;
use crate::hand_over::{HandOver, HandOverGuests, HandOvers};
use crate::process::Process;
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

/// All features of an application. The engine finds all that it must know about them here.
#[derive(Clone, Copy, Debug)]
pub struct Features(&'static [Feature]);

/// The process manager that belongs to no feature.
const HAND_OVER_GUESTS: Registered = Registered::of::<Process<HandOverGuests>>();

impl Features {
    /// An application with these features.
    #[must_use]
    pub const fn new(features: &'static [Feature]) -> Self {
        Self(features)
    }

    /// Every projection and process manager, so that an operator can name it.
    pub fn projections(self) -> impl Iterator<Item = &'static Registered> {
        let features = self.0.iter().flat_map(|feature| feature.projections);
        features.chain([&HAND_OVER_GUESTS])
    }

    /// Hands over the aggregates of guests, of all features.
    #[must_use]
    pub fn hand_overs(self, commands: &CommandHandler, projections: &Projections) -> HandOvers {
        let kinds = self.0.iter().filter_map(|feature| feature.hand_over);
        let kinds = kinds.map(|make| make(commands, projections)).collect();
        HandOvers::new(commands.clone(), kinds)
    }

    /// The audiences of all events that programs may receive.
    #[must_use]
    pub fn audiences(self) -> Audiences {
        let rules = self.0.iter().flat_map(|feature| feature.audiences);
        Audiences::new(rules.copied().chain([AudienceRule::user()]))
    }
}
