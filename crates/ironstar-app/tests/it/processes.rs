//! What follows from events follows once, whatever happens in between.

mod lists;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ironstar_app::process::Process;
use ironstar_app::{CommandContext, CommandError};
use ironstar_domain::{Aggregate, ListCommand, ListId, StepEvent, StepId, StepState};
use ironstar_ports::{Build, BuildState, Origin, Position, ProjectionStore, StreamId};
use tokio::time::{Instant, sleep};

use support::{Manner, Stamping, UnansweringStore, World, words};

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_step_is_taken_once_and_its_event_comes_with_it() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    let todo = node.create_todo(ListId::SHARED).await;
    world.until_over(1).await;
    sleep(HOUR).await;
    let step = "stamping/1.0";
    let log = world.log().await;
    assert_eq!(
        words(&log),
        [
            format!("Todo {todo} created"),
            format!("Todo {todo} renamed"),
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
async fn what_happened_before_there_was_a_process_manager_counts_too() {
    let world = World::new();
    let node = world.node().await;
    for _ in 0..3 {
        node.create_todo(ListId::SHARED).await;
    }
    node.run(Manner::Eager);
    world.until_over(3).await;
}

#[tokio::test(start_paused = true)]
async fn several_servers_take_a_step_once() {
    let world = World::new();
    let nodes = [world.node().await, world.node().await, world.node().await];
    for node in &nodes {
        // All of them have seen the step by the time that one takes it.
        node.run(Manner::Slow(Duration::from_secs(5)));
    }
    for _ in 0..20 {
        nodes[0].create_todo(ListId::SHARED).await;
    }
    world.until_over(20).await;
    sleep(HOUR).await;
    assert_eq!(world.count("renamed").await, 20);
    assert_eq!(world.count("carried_out").await, 20);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_answer_was_lost_is_not_taken_again() {
    let world = World::new();
    let node = world
        .node_on(Arc::new(UnansweringStore::new(&world, 3)))
        .await;
    node.run(Manner::Eager);
    world.create_todos(5).await;
    world.until_over(5).await;
    sleep(HOUR).await;
    assert_eq!(world.count("renamed").await, 5);
    assert_eq!(world.count("carried_out").await, 5);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_at_any_moment_neither_loses_nor_repeats_a_step() {
    let world = World::new();
    world.create_todos(10).await;
    for lifetime in (0..40).map(|step| Duration::from_micros(step * 537)) {
        let node = world.node().await;
        // The executor gives way in the middle of what it does.
        node.run(Manner::Slow(Duration::from_micros(300)));
        sleep(lifetime).await;
        node.stop();
    }
    let node = world.node().await;
    node.run(Manner::Eager);
    world.until_over(10).await;
    sleep(HOUR).await;
    assert_eq!(world.count("renamed").await, 10);
    assert_eq!(world.count("carried_out").await, 10);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_now_is_tried_again_and_holds_nobody_up() {
    let world = World::new();
    let node = world.node().await;
    let first = node.create_todo(ListId::SHARED).await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Brittle {
        todo: first,
        times: 4,
        tried: tried.clone(),
    });
    let start = Instant::now();
    world.create_todos(2).await;
    world.until_over(2).await;
    assert!(start.elapsed() < Duration::from_secs(2), "the others wait");
    assert_eq!(world.count("carried_out").await, 2);
    world.until_over(3).await;
    // After one, two, four and eight seconds: once by a panic.
    let waited = start.elapsed();
    assert!((15..20).contains(&waited.as_secs()), "{waited:?}");
    sleep(HOUR).await;
    assert_eq!(tried.load(SeqCst), 5);
    assert_eq!(world.count("renamed").await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_is_over_and_says_why() {
    let world = World::new();
    let node = world.node().await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Refusing {
        tried: tried.clone(),
    });
    node.create_todo(ListId::SHARED).await;
    world.until_over(1).await;
    sleep(HOUR).await;
    node.stop();
    world.node().await.run(Manner::Eager);
    sleep(HOUR).await;
    assert_eq!(tried.load(SeqCst), 1);
    assert_eq!(world.count("renamed").await, 0);
    let log = world.log().await;
    let refused = log.last().expect("it is the last event");
    assert_eq!(refused.event_type, "refused");
    assert!(refused.payload.as_str().contains("there is no such todo"));
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
async fn what_goes_with_a_command_is_stored_also_if_that_changes_nothing() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let name = "Groceries".parse().expect("a name");
    let rename = ListCommand::Rename { name };
    let step = StepId::new("testing", 1, 0).expect("an id");
    let over = StepEvent::CarriedOut;
    let over = node
        .commands
        .first_event::<StepState>(&step, &over, &Origin::default());
    let context = CommandContext {
        also: vec![over.expect("it has a stored form")],
        ..CommandContext::default()
    };
    let accepted = node.lists.execute(list, &rename, &context).await;
    let accepted = accepted.expect("it has that name already");
    assert_eq!(accepted.place.position, Position::new(1));
    assert_eq!(world.count("carried_out").await, 1);
    let again = node.lists.execute(list, &rename, &context).await;
    let error = again.expect_err("the step is over");
    let CommandError::OtherChanged { stream } = error else {
        panic!("{error:?}");
    };
    assert_eq!(stream, StreamId::new("Step", "testing/1.0"));
    assert_eq!(world.count("carried_out").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_takes_nothing_is_not_asked_for_every_step() {
    let world = World::new();
    world.create_todos(50).await;
    let log = Arc::new(UnansweringStore::new(&world, 0));
    log.is_down.store(true, SeqCst);
    let node = world.node_on(log.clone()).await;
    node.run(Manner::Eager);
    sleep(MINUTE).await;
    let asked = log.asked.load(SeqCst);
    assert!((3..10).contains(&asked), "{asked}");
    log.is_down.store(false, SeqCst);
    world.until_over(50).await;
    assert_eq!(world.count("renamed").await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_repeats_nothing() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.create_todos(5).await;
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
    world.create_todos(1).await;
    world.until_over(6).await;
    sleep(HOUR).await;
    assert_eq!(world.count("renamed").await, 6);
    assert_eq!(world.count("carried_out").await, 6);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn steps_wait_for_a_store_that_does_not_work() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    sleep(MINUTE).await;
    world.documents.failing_finds.store(8, SeqCst);
    world.documents.failing_commits.store(5, SeqCst);
    world.create_todos(3).await;
    world.until_over(3).await;
    assert_eq!(world.documents.failing_commits.load(SeqCst), 0);
    sleep(HOUR).await;
    assert_eq!(world.count("carried_out").await, 3);
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_hangs_is_given_up_for_a_while() {
    let world = World::new();
    let node = world.node().await;
    let first = node.create_todo(ListId::SHARED).await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Hanging {
        todo: first,
        tried: tried.clone(),
    });
    node.create_todo(ListId::SHARED).await;
    world.until_over(1).await;
    world.until_over(2).await;
    assert_eq!(tried.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn executor_that_stores_nothing_of_a_step_is_not_asked_without_a_pause() {
    let world = World::new();
    let node = world.node().await;
    node.create_todo(ListId::SHARED).await;
    let tried = Arc::<AtomicU64>::default();
    node.run(Manner::Forgetful {
        tried: tried.clone(),
    });
    sleep(Duration::from_secs(600)).await;
    let tried = tried.load(SeqCst);
    assert!((2..50).contains(&tried), "{tried}");
}

#[tokio::test(start_paused = true)]
async fn steps_of_others_that_cannot_be_read_are_none_of_its_business() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.painted(StepState::TYPE, "other-process/1.0").await;
    node.create_todo(ListId::SHARED).await;
    world.until_over(2).await;
}
