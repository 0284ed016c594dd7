//! Steps happen once, despite crashes, failures and concurrent servers.

mod hand_over;
pub(crate) mod support;
mod timers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ironstar_adapters::memory::MemoryLeaseStore;
use ironstar_adapters::system::SystemClock;
use ironstar_app::process::Process;
use ironstar_app::{CommandContext, CommandError};
use ironstar_domain::{Aggregate, StepEvent, StepId, StepState};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_ports::{Build, BuildState, Origin, Position, ProjectionStore, StreamId};
use tokio::time::{Instant, sleep};

use crate::support::{Appointed, join};

use support::{Manner, Stamping, UnansweringStore, World, words};

pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn step_runs_once_and_its_event_is_stored_with_it() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    let remark = node.create_remark().await;
    world.until_over(1).await;
    sleep(HOUR).await;
    let step = "stamping/1.0";
    let log = world.log().await;
    assert_eq!(
        words(&log),
        [
            format!("Remark {remark} created"),
            format!("Remark {remark} rewritten"),
            format!("Step {step} carried_out"),
        ]
    );
    for event in &log[1..] {
        let origin = &event.metadata.origin;
        assert_eq!(origin.causation_id.as_deref(), Some(step));
        assert_eq!(origin.correlation_id.as_deref(), Some("the request"));
    }
}

#[tokio::test(start_paused = true)]
async fn new_process_manager_reacts_to_old_events() {
    let world = World::new();
    let node = world.node().await;
    for _ in 0..3 {
        node.create_remark().await;
    }
    node.run(Manner::Eager);
    world.until_over(3).await;
}

#[tokio::test(start_paused = true)]
async fn several_servers_run_a_step_once() {
    let world = World::new();
    let nodes = [world.node().await, world.node().await, world.node().await];
    for node in &nodes {
        // All nodes have seen the step before one of them runs it.
        node.run(Manner::Slow(Duration::from_secs(5)));
    }
    for _ in 0..20 {
        nodes[0].create_remark().await;
    }
    world.until_over(20).await;
    sleep(HOUR).await;
    assert_eq!(world.count("rewritten").await, 20);
    assert_eq!(world.count("carried_out").await, 20);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn steps_run_on_the_server_with_the_lease() {
    let world = World::new();
    let appointed = Arc::new(Appointed::default());
    appointed.appoint("one");
    let [mut one, mut other] = [world.node().await, world.node().await];
    for (node, name) in [(&mut one, "one"), (&mut other, "other")] {
        let leases = join(appointed.clone(), name);
        node.projections = node.projections.clone().shared_by(leases);
    }
    one.run(Manner::Eager);
    let tried = Arc::new(AtomicU64::new(0));
    let refusing = Manner::Refusing {
        tried: Arc::clone(&tried),
    };
    other.run(refusing);
    for steps in 1..=10 {
        other.create_remark().await;
        world.until_over(steps).await;
    }
    assert_eq!(world.count("carried_out").await, 10);
    assert_eq!(tried.load(SeqCst), 0);

    appointed.appoint("other");
    sleep(MINUTE).await;
    one.create_remark().await;
    world.until_over(11).await;
    assert_eq!(world.count("refused").await, 1);
    assert_eq!(tried.load(SeqCst), 1);
}

/// During an upgrade, an older node cannot run steps that need an event of the newer version.
#[tokio::test(start_paused = true)]
async fn step_that_needs_a_newer_event_is_left_to_a_newer_node() {
    let world = World::new();
    // As the store measures it, by the clock of the machine: longer than this test takes.
    let term = Duration::from_secs(60);
    let store = Arc::new(MemoryLeaseStore::new(term, Arc::new(SystemClock)));
    let [mut older, mut newer] = [world.node().await, world.node().await];
    for (node, name) in [(&mut older, "older"), (&mut newer, "newer")] {
        let leases = join(store.clone(), name);
        node.projections = node.projections.clone().shared_by(leases);
    }
    older.create_remark().await;
    let mut needs = Box::new(world.log().await.remove(0));
    needs.event_type = "painted".to_owned();
    older.run(Manner::Older { needs });
    sleep(HOUR).await;
    assert_eq!(world.count("carried_out").await, 0);
    newer.run(Manner::Eager);
    for steps in 1..=3 {
        world.until_over(steps).await;
        older.create_remark().await;
    }
    world.until_over(4).await;
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn step_without_an_answer_does_not_run_again() {
    let world = World::new();
    let node = world
        .node_on(Arc::new(UnansweringStore::new(&world, 3)))
        .await;
    node.run(Manner::Eager);
    world.create_remarks(5).await;
    world.until_over(5).await;
    sleep(HOUR).await;
    assert_eq!(world.count("rewritten").await, 5);
    assert_eq!(world.count("carried_out").await, 5);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn server_that_ends_at_any_moment_neither_loses_nor_repeats_a_step() {
    let world = World::new();
    world.create_remarks(10).await;
    for lifetime in (0..40).map(|step| Duration::from_micros(step * 537)) {
        let node = world.node().await;
        // The executor pauses in the middle of its work.
        node.run(Manner::Slow(Duration::from_micros(300)));
        sleep(lifetime).await;
        node.stop();
    }
    let node = world.node().await;
    node.run(Manner::Eager);
    world.until_over(10).await;
    sleep(HOUR).await;
    assert_eq!(world.count("rewritten").await, 10);
    assert_eq!(world.count("carried_out").await, 10);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn failed_step_is_tried_again_and_delays_no_other_step() {
    let world = World::new();
    let node = world.node().await;
    let first = node.create_remark().await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Brittle {
        remark: first,
        times: 4,
        tried: tried.clone(),
    });
    let start = Instant::now();
    world.create_remarks(2).await;
    world.until_over(2).await;
    assert!(start.elapsed() < Duration::from_secs(2), "the others wait");
    assert_eq!(world.count("carried_out").await, 2);
    world.until_over(3).await;
    // The pauses are one, two, four and eight seconds; one failure is a panic.
    let waited = start.elapsed();
    assert!((15..20).contains(&waited.as_secs()), "{waited:?}");
    sleep(HOUR).await;
    assert_eq!(tried.load(SeqCst), 5);
    assert_eq!(world.count("rewritten").await, 3);
}

#[tokio::test(start_paused = true)]
async fn refused_step_is_over_and_records_the_reason() {
    let world = World::new();
    let node = world.node().await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Refusing {
        tried: tried.clone(),
    });
    node.create_remark().await;
    world.until_over(1).await;
    sleep(HOUR).await;
    node.stop();
    world.node().await.run(Manner::Eager);
    sleep(HOUR).await;
    assert_eq!(tried.load(SeqCst), 1);
    assert_eq!(world.count("rewritten").await, 0);
    let log = world.log().await;
    let refused = log.last().expect("the refusal is the last event");
    assert_eq!(refused.event_type, "refused");
    assert!(refused.payload.as_str().contains("there is no such remark"));
    let origin = &refused.metadata.origin;
    assert!(origin.step.is_some(), "{origin:?}");
    assert_eq!(origin.causation_id, origin.step);
    assert!(
        origin
            .actor
            .as_deref()
            .is_some_and(|actor| actor.starts_with("application/"))
    );
}

#[tokio::test(start_paused = true)]
async fn events_beside_a_command_are_stored_even_if_it_changes_nothing() {
    let world = World::new();
    let node = world.node().await;
    let note = node.create_note(None).await;
    let text = "Groceries".to_owned();
    let rewrite = NoteCommand::Rewrite { text };
    let step = StepId::new("testing", 1, 0).expect("an id");
    let over = StepEvent::CarriedOut;
    let over = node
        .commands
        .first_event::<StepState>(&step, &over, &Origin::default());
    let context = CommandContext {
        also: vec![over.expect("the event has a stored form")],
        ..CommandContext::default()
    };
    let rewrite = async || {
        let done = node
            .commands
            .execute_as_owner::<NoteState>(&note, &rewrite, &context);
        done.await
    };
    let accepted = rewrite().await.expect("the note already has that text");
    assert_eq!(accepted.place.position, Position::new(1));
    assert_eq!(world.count("carried_out").await, 1);
    let error = rewrite().await.expect_err("the step is over");
    let CommandError::OtherChanged { stream } = error else {
        panic!("{error:?}");
    };
    assert_eq!(stream, StreamId::new("Step", "testing/1.0"));
    assert_eq!(world.count("carried_out").await, 1);
}

#[tokio::test(start_paused = true)]
async fn unavailable_log_is_not_asked_for_every_step() {
    let world = World::new();
    world.create_remarks(50).await;
    let log = Arc::new(UnansweringStore::new(&world, 0));
    log.is_down.store(true, SeqCst);
    let node = world.node_on(log.clone()).await;
    node.run(Manner::Eager);
    sleep(MINUTE).await;
    let asked = log.asked.load(SeqCst);
    assert!((3..10).contains(&asked), "{asked}");
    log.is_down.store(false, SeqCst);
    world.until_over(50).await;
    assert_eq!(world.count("rewritten").await, 50);
}

#[tokio::test(start_paused = true)]
async fn rebuild_repeats_no_step() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.create_remarks(5).await;
    world.until_over(5).await;
    let before = world.builds::<Process<Stamping>>().await;
    let began = world.documents.begin("stamping", 1).await.expect("begun");
    let is_live = |builds: &[Build]| {
        builds.len() == 1 && builds[0].id == began.id && builds[0].state == BuildState::Live
    };
    while !is_live(&world.builds::<Process<Stamping>>().await) {
        sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(before[0].id, began.id);
    sleep(HOUR).await;
    world.create_remarks(1).await;
    world.until_over(6).await;
    sleep(HOUR).await;
    assert_eq!(world.count("rewritten").await, 6);
    assert_eq!(world.count("carried_out").await, 6);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn steps_wait_for_a_failing_store() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    sleep(MINUTE).await;
    world.documents.failing_finds.store(8, SeqCst);
    world.documents.failing_commits.store(5, SeqCst);
    world.create_remarks(3).await;
    world.until_over(3).await;
    assert_eq!(world.documents.failing_commits.load(SeqCst), 0);
    sleep(HOUR).await;
    assert_eq!(world.count("carried_out").await, 3);
}

#[tokio::test(start_paused = true)]
async fn executor_that_hangs_is_stopped_and_tried_again_later() {
    let world = World::new();
    let node = world.node().await;
    let first = node.create_remark().await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Hanging {
        remark: first,
        tried: tried.clone(),
    });
    node.create_remark().await;
    world.until_over(1).await;
    world.until_over(2).await;
    assert_eq!(tried.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn executor_that_does_not_store_its_step_runs_only_after_pauses() {
    let world = World::new();
    let node = world.node().await;
    node.create_remark().await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Forgetful {
        tried: tried.clone(),
    });
    sleep(Duration::from_secs(600)).await;
    let tried = tried.load(SeqCst);
    assert!((2..50).contains(&tried), "{tried}");
}

#[tokio::test(start_paused = true)]
async fn process_manager_ignores_unreadable_steps_of_others() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.painted(StepState::TYPE, "other-process/1.0").await;
    node.create_remark().await;
    world.until_over(2).await;
}
