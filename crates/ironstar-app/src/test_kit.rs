//! What a test of a projection says, in few words: what has happened, and which
//! documents that makes.
//!
//! It is the other half of the domain's `test_kit`, and knows as little of tasks
//! and stores as that one does. Positions, sequences and ids of events are the
//! same every time.
//!
//! # Documents
//!
//! [`given`] events, the [`view`](Given::view) of a projection
//! [holds](View::then) exactly these documents. It can go on from there.
//!
//! ```
//! use ironstar_app::list::{ListItem, ListProjection};
//! use ironstar_app::test_kit::{given, happened};
//! use ironstar_domain::{ListEvent, ListId, ListName, ListState};
//! use ironstar_ports::Position;
//!
//! let id: ListId = "00000000-0000-0000-0000-000000000007".parse().expect("an id");
//! let name: ListName = "Groceries".parse().expect("a valid name");
//! let list = |archived| ListItem {
//!     id,
//!     name: name.clone(),
//!     archived,
//!     created: Position::new(1),
//! };
//! let happened = |event| happened::<ListState>(id, event);
//!
//! let view = given([happened(ListEvent::Created { name: name.clone() })])
//!     .view::<ListProjection>()
//!     .then([(id.to_string(), list(false))])
//!     .and([happened(ListEvent::Archived)])
//!     .then([(id.to_string(), list(true))]);
//! assert_eq!(view.document(&id.to_string()), Some(&list(true)));
//! assert!(view.listed("open").is_empty());
//! assert_eq!(view.listed("archived"), [&list(true)]);
//! ```
//!
//! # Events that cannot be folded
//!
//! What was [`stored`] long ago, or by nobody who should have, either makes
//! documents or [stops the projection](View::then_stuck).
//!
//! ```
//! use ironstar_app::list::ListProjection;
//! use ironstar_app::test_kit::{given, stored};
//! use ironstar_domain::{ListId, ListState};
//!
//! given([stored::<ListState>(ListId::SHARED, "painted", 1, "{}")])
//!     .view::<ListProjection>()
//!     .then_stuck(1);
//! ```

mod events;
mod view;

pub use events::{Given, Happened, given, happened, stored};
pub use view::View;
