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
//! use ironstar_app::list::{ListItem, ListProjection};
//! use ironstar_app::test_kit::{given, happened};
//! use ironstar_domain::list::{ListEvent, ListId, ListName, ListState};
//! use ironstar_ports::Position;
//!
//! let id: ListId = "00000000-0000-0000-0000-000000000007".parse().expect("an id");
//! let name: ListName = "Groceries".parse().expect("a valid name");
//! let list = |archived| ListItem {
//!     id,
//!     name: name.clone(),
//!     owner: None,
//!     links: vec![],
//!     archived,
//!     created: Position::new(1),
//! };
//! let happened = |event| happened::<ListState>(id, event);
//!
//! let view = given([happened(ListEvent::Created { name: name.clone(), owner: None })])
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
//! An old or invalid event, as it was [`stored`], either produces documents or [stops the
//! projection](View::then_stuck).
//!
//! ```
//! use ironstar_app::list::ListProjection;
//! use ironstar_app::test_kit::{given, stored};
//! use ironstar_domain::list::{ListId, ListState};
//!
//! given([stored::<ListState>(ListId::SHARED, "painted", 1, "{}")])
//!     .view::<ListProjection>()
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
//! use ironstar_app::todo::{ArchiveDoneLists, ListAt, ListStep};
//! use ironstar_app::test_kit::{given, happened};
//! use ironstar_domain::list::{ListEvent, ListId, ListState};
//! use ironstar_domain::todo::{TodoEvent, TodoState};
//! use ironstar_ports::Sequence;
//! use time::macros::datetime;
//!
//! let list: ListId = "00000000-0000-0000-0000-000000000007".parse().expect("an id");
//! let todo = "00000000-0000-0000-0000-000000000008".parse().expect("an id");
//! let created = ListEvent::Created { name: "Groceries".parse().expect("a name"), owner: None };
//! let todo = |event| happened::<TodoState>(todo, event).part_of::<ListState>(list);
//! let text = "Buy milk".parse().expect("a text");
//! let noon = datetime!(2026-11-24 12:00 UTC);
//! let archive = ListStep::Archive(ListAt { list, sequence: Some(Sequence::FIRST) });
//!
//! given([happened::<ListState>(list, created), todo(TodoEvent::Created { text, list })])
//!     .process::<ArchiveDoneLists>()
//!     .then_nothing()
//!     .and([todo(TodoEvent::Completed).at(noon)])
//!     .then_asks([])
//!     .then_waits([(noon, archive)])
//!     .and_due()
//!     .then_nothing();
//! ```

mod events;
mod plan;
mod view;

pub use events::{Given, Happened, given, happened, stored};
pub use plan::Plan;
pub use view::View;
