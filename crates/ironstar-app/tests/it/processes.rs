//! What follows from events follows once, whatever happens in between.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ironstar_app::list::{ArchiveDoneLists, ListAt, ListStep};
use ironstar_app::process::Process;
use ironstar_app::{CommandContext, CommandError};
use ironstar_domain::{Aggregate, ListCommand, ListId, ListState, StepEvent, StepId, StepState};
use ironstar_ports::{
    Build, BuildState, BuildUpdate, Origin, Position, ProjectionStore, Sequence, StreamId,
};
use tokio::time::{Instant, sleep};

use support::{Completing, Manner, Slowly, Touching, UnansweringStore, World, words};

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
    let step = "completing/1.0";
    let log = world.log().await;
    assert_eq!(
        words(&log),
        [
            format!("Todo {todo} created"),
            format!("Todo {todo} completed"),
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
        node.run(Manner::Eager);
    }
    for _ in 0..20 {
        nodes[0].create_todo(ListId::SHARED).await;
    }
    world.until_over(20).await;
    sleep(HOUR).await;
    assert_eq!(world.count("completed").await, 20);
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
    assert_eq!(world.count("completed").await, 5);
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
    assert_eq!(world.count("completed").await, 10);
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
    assert_eq!(world.count("completed").await, 3);
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
    assert_eq!(world.count("completed").await, 0);
    let log = world.log().await;
    let refused = log.last().expect("it is the last event");
    assert_eq!(refused.event_type, "refused");
    assert!(refused.payload.as_str().contains("there is no such todo"));
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
    assert_eq!(accepted.position, Position::new(1));
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
    assert_eq!(world.count("completed").await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_repeats_nothing() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.create_todos(5).await;
    world.until_over(5).await;
    let before = world.builds::<Process<Completing>>().await;
    let began = world.documents.begin("completing", 1).await.expect("begun");
    let is_live = |builds: &[Build]| {
        builds.len() == 1 && builds[0].id == began.id && builds[0].state == BuildState::Live
    };
    while !is_live(&world.builds::<Process<Completing>>().await) {
        sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(before[0].id, began.id);
    sleep(HOUR).await;
    world.create_todos(1).await;
    world.until_over(6).await;
    sleep(HOUR).await;
    assert_eq!(world.count("completed").await, 6);
    assert_eq!(world.count("carried_out").await, 6);
    assert_eq!(world.count("refused").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_done_list_is_archived_once_its_time_is_up() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.done_list().await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    assert!(matches!(
        world.state::<ListState>(list).await,
        ListState::Archived { .. }
    ));
    sleep(10 * HOUR).await;
    assert_eq!(world.count("archived").await, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_touches_a_list_sets_its_time_back() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.done_list().await;
    sleep(HOUR / 2).await;
    let name = "Food".parse().expect("a name");
    node.on_list(list, ListCommand::Rename { name }).await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    node.on_list(list, ListCommand::Restore).await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_timer_goes_on_across_restarts_and_fires_once() {
    let world = World::new();
    for _ in 0..3 {
        let node = world.node().await;
        node.archive_after(HOUR);
        if world.count("created").await == 0 {
            node.done_list().await;
        }
        sleep(HOUR / 4).await;
        node.stop();
    }
    // It is due while no server runs.
    sleep(HOUR).await;
    assert_eq!(world.count("archived").await, 0);
    for _ in 0..3 {
        let node = world.node().await;
        node.archive_after(HOUR);
        sleep(MINUTE).await;
        assert_eq!(world.count("archived").await, 1);
        node.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn another_patience_counts_at_once() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(100 * HOUR);
    node.done_list().await;
    sleep(3 * HOUR).await;
    node.stop();
    let node = world.node().await;
    node.archive_after(2 * HOUR);
    sleep(MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
}

#[tokio::test(start_paused = true)]
async fn many_lists_are_archived_each_in_its_time() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    for _ in 0..300 {
        node.done_list().await;
    }
    sleep(HOUR / 2).await;
    for _ in 0..10 {
        node.done_list().await;
    }
    sleep(HOUR / 2 + MINUTE).await;
    assert_eq!(world.count("archived").await, 300);
    sleep(HOUR / 2).await;
    assert_eq!(world.count("archived").await, 310);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_touched_at_the_last_moment_is_restored() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let created = &world.log().await[1];
    let touching = Touching {
        commands: node.commands.clone(),
        lists: node.lists.clone(),
        todo: created.stream.aggregate_id.parse().expect("an id"),
        insists: false,
    };
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let kinds: Vec<String> = world.log().await[3..]
        .iter()
        .map(|event| format!("{} {}", event.stream.aggregate_type, event.event_type))
        .collect();
    assert_eq!(
        kinds,
        [
            // Just before it is archived, somebody opens its todo again.
            "Todo reopened",
            "List archived",
            "Step carried_out",
            "List restored",
            "Step carried_out"
        ]
    );
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Open { .. }), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn no_timer_fires_while_it_is_not_known_what_has_happened() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    node.done_list().await;
    sleep(MINUTE).await;
    // Nobody can tell what this was about, so the list may have been touched.
    let position = world
        .painted(ListState::TYPE, "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")
        .await;
    sleep(2 * HOUR).await;
    assert_eq!(world.count("archived").await, 0);
    let builds = world.builds::<Process<ArchiveDoneLists>>().await;
    let failure = builds[0].failure.as_ref().expect("it is stuck");
    assert_eq!(failure.position, position);
    let skip = BuildUpdate::Skip(position);
    let skipped = world.documents.update(builds[0].id, skip).await;
    skipped.expect("it is stuck there");
    sleep(MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
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
async fn a_list_that_is_touched_while_others_are_archived_is_not() {
    let world = World::new();
    let node = world.node().await;
    let mut lists = Vec::new();
    for _ in 0..50 {
        lists.push(node.done_list().await);
    }
    node.archive_with(Slowly(node.lists.clone(), MINUTE / 100), HOUR);
    sleep(HOUR + MINUTE / 4).await;
    assert!(world.count("archived").await < 40, "some are left");
    let mut last = lists[0];
    for list in lists {
        if matches!(world.state(list).await, ListState::Open { .. }) {
            last = list;
        }
    }
    node.create_todo(last).await;
    sleep(HOUR).await;
    assert_eq!(world.count("archived").await, 49);
    assert_eq!(world.count("restored").await, 0);
    let state = world.state::<ListState>(last).await;
    assert!(matches!(state, ListState::Open { .. }), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_restored_once_somebody_has_done_something_with_it() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let created = &world.log().await[1];
    let touching = Touching {
        commands: node.commands.clone(),
        lists: node.lists.clone(),
        todo: created.stream.aggregate_id.parse().expect("an id"),
        insists: true,
    };
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Archived { .. }), "{state:?}");
    assert_eq!(world.count("refused").await, 1);
    assert_eq!(world.count("archived").await, 2);
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
async fn steps_of_others_that_cannot_be_read_are_none_of_its_business() {
    let world = World::new();
    let node = world.node().await;
    node.run(Manner::Eager);
    world.painted(StepState::TYPE, "other-process/1.0").await;
    node.create_todo(ListId::SHARED).await;
    world.until_over(2).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_something_cannot_pass_for_a_process_manager() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.lists.next_id();
    let name = "Groceries".parse().expect("a name");
    node.on_list(list, ListCommand::Create { name }).await;
    let context = CommandContext {
        origin: Origin {
            causation_id: Some("archive-done-lists/1.0".to_owned()),
            ..Origin::default()
        },
        ..CommandContext::default()
    };
    let archived = node.lists.execute(list, &ListCommand::Archive, &context);
    archived.await.expect("accepted");
    sleep(2 * HOUR).await;
    assert_eq!(world.count("restored").await, 0);
}

#[test]
fn the_commands_of_the_list_are_written_as_they_always_were() {
    let list: ListId = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"
        .parse()
        .expect("an id");
    let at = ListAt {
        list,
        sequence: Some(Sequence::new(3)),
    };
    let written = |step: &str| {
        format!(r#"{{"{step}":{{"list":"019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e","sequence":3}}}}"#)
    };
    for (step, written) in [
        (ListStep::Archive(at), written("archive")),
        (ListStep::Restore(at), written("restore")),
    ] {
        assert_eq!(serde_json::to_string(&step).expect("JSON"), written);
    }
}
