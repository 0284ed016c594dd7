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
//! use ironstar_domain::Ownership;
//! use ironstar_domain::list::{ListCommand, ListDetails, ListError, ListEvent, ListName, ListState};
//!
//! let name: ListName = "Groceries".parse().expect("a valid name");
//! given::<ListState>([ListEvent::Created { name: name.clone(), owner: None }])
//!     .when(ListCommand::Rename { name: name.clone() })
//!     .then_nothing()
//!     .and([ListEvent::Archived])
//!     .when(ListCommand::Archive)
//!     .then_refused(ListError::Archived)
//!     .and_when(ListCommand::Restore)
//!     .then([ListEvent::Restored])
//!     .and_state(ListState::Open(ListDetails { name, ownership: Ownership::of(None) }));
//! ```
//!
//! # Old events
//!
//! A [`stored`] event of any version [reads as](Stored::reads_as) an event of the newest version,
//! or [is refused](Stored::is_refused).
//!
//! ```
//! use ironstar_domain::test_kit::stored;
//! use ironstar_domain::list::ListId;
//! use ironstar_domain::todo::TodoEvent;
//!
//! stored("created", 1, r#"{"type": "created", "text": "Buy milk"}"#).reads_as(
//!     TodoEvent::Created {
//!         text: "Buy milk".parse().expect("a valid text"),
//!         list: ListId::SHARED,
//!     },
//! );
//! stored::<TodoEvent>("created", 3, "{}")
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
//! use ironstar_domain::Aggregate;
//! use ironstar_domain::list::{ListCommand, ListState};
//! use proptest::prelude::*;
//!
//! fn any_command() -> impl Strategy<Value = ListCommand> {
//!     let name = || "[ab]".prop_map(|name| name.parse().expect("a valid name"));
//!     prop_oneof![
//!         name().prop_map(|name| ListCommand::Create { name, owner: None }),
//!         name().prop_map(|name| ListCommand::Rename { name }),
//!         Just(ListCommand::Archive),
//!         Just(ListCommand::Restore),
//!     ]
//! }
//!
//! proptest!(|(commands in prop::collection::vec(any_command(), 0..20))| {
//!     check_laws::<ListState>(commands);
//! });
//!
//! let any_history =
//!     prop::collection::vec(any_command(), 0..20).prop_map(history::<ListState>);
//! proptest!(|(events in any_history)| {
//!     let created = ListState::fold(&events) != ListState::NotCreated;
//!     prop_assert_eq!(created, !events.is_empty());
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
