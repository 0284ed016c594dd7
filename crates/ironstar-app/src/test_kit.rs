//! Short tests for projections and process managers: given events, the expected documents or
//! commands.
//!
//! This module complements the domain's `test_kit`. Like that one, it uses no tasks and no
//! stores. Positions, sequences and ids of events are the same in every run.
//!
//! # Documents
//!
//! After the [`given`] events, the [`view`](Given::view) of a projection [contains](View::then)
//! exactly these documents. More events can follow.
//!
//! ```
//! use ironstar_app::test_kit::{given, happened};
//! use ironstar_domain::{OwnedEvent, Ownership, OwnershipEvent, Principal};
//! use ironstar_fixtures::note::{NoteEvent, NoteState};
//! use ironstar_fixtures::notes::{NoteItem, NoteProjection};
//! use uuid::Uuid;
//!
//! let id = Uuid::from_u128(7);
//! let text = "Groceries".to_owned();
//! let [ada, bob] = [1, 2].map(|number| Principal::User(Uuid::from_u128(number).into()));
//! let note = |owner| NoteItem { text: text.clone(), ownership: Ownership::of(Some(owner)) };
//! let created = NoteEvent::Created { text: text.clone(), owner: Some(ada) };
//! let handed_over = OwnedEvent::Ownership(OwnershipEvent::HandedOver { to: bob });
//!
//! let view = given([happened::<NoteState>(id, created)])
//!     .view::<NoteProjection>()
//!     .then([(id.to_string(), note(ada))])
//!     .and([happened::<NoteState>(id, handed_over)])
//!     .then([(id.to_string(), note(bob))]);
//! assert_eq!(view.document(&id.to_string()), Some(&note(bob)));
//! assert!(view.listed(&ada.to_string()).is_empty());
//! assert_eq!(view.listed(&bob.to_string()), [&note(bob)]);
//! ```
//!
//! # Events that cannot be folded
//!
//! An old or invalid event, as it was [`stored`], either produces documents or [stops the
//! projection](View::then_stuck).
//!
//! ```
//! use ironstar_app::test_kit::{given, stored};
//! use ironstar_fixtures::note::NoteState;
//! use ironstar_fixtures::notes::NoteProjection;
//! use uuid::Uuid;
//!
//! given([stored::<NoteState>(Uuid::from_u128(7), "painted", 1, "{}")])
//!     .view::<NoteProjection>()
//!     .then_stuck(1);
//! ```
//!
//! # Process managers
//!
//! After the [`given`] events, a [process manager](Given::process) [asks for](Plan::then_asks)
//! commands, or [waits](Plan::then_waits) first. In a test, time passes when a timer [is
//! due](Plan::and_due).
//!
//! ```
//! use ironstar_app::test_kit::{given, happened};
//! use ironstar_fixtures::closing::Closing;
//! use ironstar_fixtures::note::NoteState;
//! use ironstar_fixtures::remark::{RemarkEvent, RemarkState};
//! use ironstar_ports::Sequence;
//! use time::macros::datetime;
//! use uuid::Uuid;
//!
//! let [note, id] = [7, 8].map(Uuid::from_u128);
//! let remark = |event| happened::<RemarkState>(id, event).part_of::<NoteState>(note);
//! let text = "Buy milk".to_owned();
//! let noon = datetime!(2026-11-24 12:00 UTC);
//!
//! given([remark(RemarkEvent::Created { note, text })])
//!     .process::<Closing>()
//!     .and([remark(RemarkEvent::Closed)])
//!     .then_nothing()
//!     .and([remark(RemarkEvent::Reopened).at(noon)])
//!     .then_asks([])
//!     .then_waits([(noon, (id, Sequence::new(2)))])
//!     .and_due()
//!     .then_nothing();
//! ```

mod events;
mod plan;
mod view;

pub use events::{Given, Happened, given, happened, stored};
pub use plan::Plan;
pub use view::View;
