//! A kit for short tests of an aggregate: its decisions, its old events, and the laws of all
//! aggregates.
//!
//! A failed expectation is reported at the line that states it, with the history and a
//! line-by-line difference. The kit does not depend on a library for property tests: commands and
//! events can come from any such library.
//!
//! # Decisions
//!
//! [`given`] events, [`when`](Given::when) a command, [`then`](Decision::then) other events. A
//! refusal or nothing can also be expected.
//!
//! ```
//! use ironstar_domain::test_kit::given;
//! use ironstar_domain::{GuestId, Profile, UserCommand, UserDetails, UserError, UserEvent, UserState};
//!
//! let guest = GuestId::from(uuid::Uuid::from_u128(1));
//! let profile = Profile { login: "ada".parse().expect("a valid name"), name: None };
//! given::<UserState>([])
//!     .when(UserCommand::SignOut)
//!     .then_refused(UserError::NotFound)
//!     .and([UserEvent::Registered])
//!     .when(UserCommand::SignOut)
//!     .then_nothing()
//!     .and_when(UserCommand::SignIn { profile: profile.clone(), guest })
//!     .then([
//!         UserEvent::ProfileChanged { profile: profile.clone() },
//!         UserEvent::SignedIn { guest: Some(guest) },
//!     ])
//!     .and_state(UserState::Registered(UserDetails {
//!         profile: Some(profile),
//!         sessions: 1,
//!         ..UserDetails::default()
//!     }));
//! ```
//!
//! # Old events
//!
//! A [`stored`] event of any version [reads as](Stored::reads_as) an event of the newest version,
//! or [is refused](Stored::is_refused).
//!
//! ```
//! use ironstar_domain::UserEvent;
//! use ironstar_domain::test_kit::stored;
//!
//! stored("signed_in", 1, r#"{"type": "signed_in"}"#).reads_as(UserEvent::SignedIn { guest: None });
//! stored::<UserEvent>("signed_in", 3, "{}")
//!     .is_refused_as("the newest known version is 2; run a newer ironstar");
//! ```
//!
//! # Golden files
//!
//! Every version of every event type has a golden file, with the stored payload and today's form
//! of the same event. [`check_golden_files`] compares the code with these files, so that no shape
//! changes by accident.
//!
//! ```
//! use ironstar_domain::test_kit::{check_golden_files, history};
//! use ironstar_domain::{IdentityCommand, IdentityEvent, IdentityState, UserId};
//!
//! let user: UserId = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e".parse().expect("an id");
//! check_golden_files::<IdentityEvent>(
//!     &[("linked", 1, include_str!("golden/Identity/linked.v1.json"))],
//!     history::<IdentityState>([IdentityCommand::Link { user }]),
//! );
//! ```
//!
//! # Properties
//!
//! [`check_laws`] checks the laws of all aggregates under any commands. [`history`] makes
//! possible histories.
//!
//! ```
//! use ironstar_domain::test_kit::{check_laws, history};
//! use ironstar_domain::{Aggregate, IdentityId, Profile, UserCommand, UserState};
//! use proptest::prelude::*;
//! use uuid::Uuid;
//!
//! fn any_command() -> impl Strategy<Value = UserCommand> {
//!     let guest = Uuid::from_u128(1).into();
//!     let identity = IdentityId::new("github.com", "583231").expect("an identity");
//!     let profile = || "[ab]".prop_map(|login| {
//!         Profile { login: login.parse().expect("a valid name"), name: None }
//!     });
//!     prop_oneof![
//!         profile().prop_map(move |profile| {
//!             UserCommand::Register { identity: identity.clone(), profile, guest }
//!         }),
//!         profile().prop_map(move |profile| UserCommand::SignIn { profile, guest }),
//!         Just(UserCommand::SignOut),
//!     ]
//! }
//!
//! proptest!(|(commands in prop::collection::vec(any_command(), 0..20))| {
//!     check_laws::<UserState>(commands);
//! });
//!
//! let any_history =
//!     prop::collection::vec(any_command(), 0..20).prop_map(history::<UserState>);
//! proptest!(|(events in any_history)| {
//!     let is_registered = UserState::fold(&events) != UserState::NotRegistered;
//!     prop_assert_eq!(is_registered, !events.is_empty());
//! });
//! ```

mod decisions;
mod difference;
mod golden;
mod histories;
mod laws;
mod report;
mod shape;
mod stored;

pub use decisions::{Decided, Decision, Given, given};
pub use difference::difference;
pub use golden::check_golden_files;
pub use histories::history;
pub use laws::check_laws;
pub use stored::{Stored, stored};

#[cfg(test)]
mod failure;
#[cfg(test)]
mod toy;
