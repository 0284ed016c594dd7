use ironstar_domain::StepId;
use ironstar_domain::list::{ListEvent, ListId, ListState};
use ironstar_domain::todo::{TodoEvent, TodoId, TodoState};
use ironstar_ports::Sequence;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{ArchiveDoneLists, Archiving, ListAt, ListProgress, ListStep};
use crate::test_kit::{Happened, Plan, given, happened, stored};

fn id() -> ListId {
    Uuid::from_u128(7).into()
}

/// The time this many seconds after the start.
fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

fn list(event: ListEvent) -> Happened {
    happened::<ListState>(id(), event)
}

fn todo(number: u128, event: TodoEvent) -> Happened {
    happened::<TodoState>(Uuid::from_u128(number).into(), event).part_of::<ListState>(id())
}

fn name(name: &str) -> ListEvent {
    ListEvent::Renamed {
        name: name.parse().expect("a name"),
    }
}

fn created() -> Happened {
    list(ListEvent::Created {
        name: "Groceries".parse().expect("a name"),
        owner: None,
    })
}

fn added(number: u128) -> Happened {
    let text = "Buy milk".parse().expect("a text");
    todo(number, TodoEvent::Created { text, list: id() })
}

/// The list, if its last event has this sequence.
fn list_at(sequence: u64) -> ListAt {
    ListAt {
        list: id(),
        sequence: Some(Sequence::new(sequence)),
    }
}

fn archive(sequence: u64) -> ListStep {
    ListStep::Archive(list_at(sequence))
}

fn restore(sequence: u64) -> ListStep {
    ListStep::Restore(list_at(sequence))
}

/// A list with one todo. The third event completed the todo, after ten seconds.
fn done() -> Plan<ArchiveDoneLists> {
    given([
        created(),
        added(1),
        todo(1, TodoEvent::Completed).at(at(10)),
    ])
    .process::<ArchiveDoneLists>()
    .then_asks([])
    .then_waits([(at(10), archive(0))])
}

fn archived_because_of(position: u64) -> Happened {
    let step = StepId::new("archive-done-lists", position, 0).expect("an id");
    list(ListEvent::Archived).because_of(&step)
}

#[test]
fn list_waits_once_all_its_todos_are_completed() {
    given([created(), added(1), added(2)])
        .process::<ArchiveDoneLists>()
        .then_nothing()
        .and([todo(1, TodoEvent::Completed).at(at(10))])
        .then_nothing()
        .and([todo(2, TodoEvent::Completed).at(at(20))])
        .then_asks([])
        .then_waits([(at(20), archive(0))])
        .and_due()
        .then_nothing();
}

#[test]
fn each_event_of_a_done_list_restarts_its_timer() {
    let text = "Buy bread".parse().expect("a text");
    done()
        .and([todo(1, TodoEvent::Renamed { text }).at(at(20))])
        .then_waits([(at(20), archive(0))])
        .and([list(name("Food")).at(at(30))])
        .then_waits([(at(30), archive(1))])
        .and([added(2).at(at(40))])
        .then_nothing()
        .and([todo(2, TodoEvent::Deleted).at(at(50))])
        .then_asks([])
        .then_waits([(at(50), archive(1))]);
}

#[test]
fn list_that_is_not_done_does_not_wait() {
    done().and([todo(1, TodoEvent::Reopened)]).then_nothing();
    done().and([added(2)]).then_nothing();
    // A list without todos may be about to get some.
    done().and([todo(1, TodoEvent::Deleted)]).then_nothing();
    done().and([list(ListEvent::Archived)]).then_nothing();
}

#[test]
fn restored_list_waits_again() {
    done()
        .and([list(ListEvent::Archived)])
        .then_nothing()
        .and([list(ListEvent::Restored).at(at(60))])
        .then_asks([])
        .then_waits([(at(60), archive(2))]);
}

#[test]
fn list_that_was_archived_in_time_stays_archived() {
    done()
        .and([archived_because_of(3)])
        .and_due()
        .then_nothing();
}

#[test]
fn list_that_was_not_done_when_it_was_archived_is_restored() {
    // The step of the third event was decided without the fourth event.
    for touched in [
        added(2),
        todo(1, TodoEvent::Reopened),
        todo(1, TodoEvent::Deleted),
    ] {
        done()
            .and([touched, archived_because_of(3)])
            .then_asks([restore(1)])
            .then_waits([])
            .and_carried_out()
            .then_nothing();
    }
}

#[test]
fn list_that_was_still_done_stays_archived() {
    let text = "Buy bread".parse().expect("a text");
    done()
        .and([todo(1, TodoEvent::Renamed { text }), archived_because_of(3)])
        .then_nothing();
}

#[test]
fn list_that_others_archive_stays_archived() {
    let other = StepId::new("other", 3, 0).expect("an id");
    for archived in [
        list(ListEvent::Archived),
        list(ListEvent::Archived).because_of(&other),
    ] {
        done()
            .and([todo(1, TodoEvent::Reopened), archived])
            .then_nothing();
    }
}

#[test]
fn shared_list_never_waits() {
    let text = "Buy milk".parse().expect("a text");
    let todo = |event| happened::<TodoState>(TodoId::from(Uuid::from_u128(1)), event);
    let plan = given([
        todo(TodoEvent::Created {
            text,
            list: ListId::SHARED,
        }),
        todo(TodoEvent::Completed),
    ])
    .process::<ArchiveDoneLists>()
    .then_nothing();
    assert_eq!(plan.state("list/shared"), None);
}

#[test]
fn process_manager_counts_the_todos_of_a_list() {
    let plan = done().and([added(2), added(3), todo(3, TodoEvent::Completed)]);
    let progress = |active, completed, waits| {
        Some(Archiving::List(ListProgress {
            active,
            completed,
            archived: false,
            sequence: Some(Sequence::new(0)),
            waits,
        }))
    };
    let key = format!("list/{}", id());
    assert_eq!(plan.state(&key).cloned(), progress(1, 2, false));
    let plan = plan.and([todo(2, TodoEvent::Deleted)]);
    assert_eq!(plan.state(&key).cloned(), progress(0, 2, true));
    let deleted = format!("todo/{}", Uuid::from_u128(2));
    assert_eq!(plan.state(&deleted), None);
}

#[test]
fn unreadable_event_stops_the_process_manager() {
    let painted = stored::<ListState>(id(), "painted", 1, "{}");
    given([created(), painted])
        .process::<ArchiveDoneLists>()
        .then_stuck(2);
}

proptest! {
    /// For any events in any order: at most one timer is set, and a timer is set if and only if
    /// the list is done.
    #[test]
    fn list_waits_if_and_only_if_it_is_done(
        choices in prop::collection::vec((0_u8..6, 1_u128..4), 0..30),
    ) {
        let mut todos = std::collections::BTreeMap::new();
        let mut is_archived = false;
        let mut events = vec![created()];
        let mut touched = None;
        let mut sequence = 0;
        for (choice, number) in choices {
            let before = todos.get(&number).copied();
            let event = match (choice, before) {
                (0, None) => {
                    todos.insert(number, false);
                    added(number)
                }
                (1, Some(false)) => {
                    todos.insert(number, true);
                    todo(number, TodoEvent::Completed)
                }
                (2, Some(true)) => {
                    todos.insert(number, false);
                    todo(number, TodoEvent::Reopened)
                }
                (3, Some(_)) => {
                    todos.remove(&number);
                    todo(number, TodoEvent::Deleted)
                }
                (4, _) => {
                    is_archived = !is_archived;
                    list(if is_archived { ListEvent::Archived } else { ListEvent::Restored })
                }
                (5, _) if !is_archived => list(name("Food")),
                _ => continue,
            };
            sequence += u64::from(choice >= 4);
            let now = at(events.len() as i64);
            events.push(event.at(now));
            touched = Some(now);
        }
        let is_done = !is_archived && !todos.is_empty() && todos.values().all(|done| *done);
        let waits = touched.filter(|_| is_done);
        given(events)
            .process::<ArchiveDoneLists>()
            .then_asks([])
            .then_waits(waits.map(|since| (since, archive(sequence))));
    }
}
