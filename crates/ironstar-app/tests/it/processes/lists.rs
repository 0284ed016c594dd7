//! Lists that are done are archived after a waiting time.

use ironstar_app::CommandContext;
use ironstar_app::process::Process;
use ironstar_app::todo::{ArchiveDoneLists, ListAt, ListStep};
use ironstar_domain::Aggregate;
use ironstar_domain::list::{ListCommand, ListId, ListState};
use ironstar_ports::{BuildUpdate, Origin, ProjectionStore, Sequence};
use tokio::time::sleep;

use super::support::{Slowly, Touching, World};
use super::{HOUR, MINUTE};

#[tokio::test(start_paused = true)]
async fn done_list_is_archived_after_its_waiting_time() {
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
        ListState::Archived(_)
    ));
    sleep(10 * HOUR).await;
    assert_eq!(world.count("archived").await, 1);
}

#[tokio::test(start_paused = true)]
async fn change_of_a_list_restarts_its_waiting_time() {
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
async fn timer_continues_across_restarts_and_fires_once() {
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
    // The timer is due while no server runs.
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
async fn new_waiting_time_applies_at_once() {
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
async fn many_lists_are_archived_each_after_its_own_waiting_time() {
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
async fn clock_that_jumps_archives_no_list_before_its_time() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    for _ in 0..50 {
        node.done_list().await;
    }
    sleep(MINUTE).await;
    world.machine.jump(400 * 24 * HOUR);
    node.done_list().await;
    sleep(HOUR - 5 * MINUTE).await;
    assert_eq!(world.count("archived").await, 0);
    sleep(10 * MINUTE).await;
    assert_eq!(world.count("archived").await, 51);
}

#[tokio::test(start_paused = true)]
async fn list_that_changes_at_the_last_moment_is_restored() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let touching = Touching::only_list(&world, &node, false).await;
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let kinds: Vec<String> = world.log().await[3..]
        .iter()
        .map(|event| format!("{} {}", event.stream.aggregate_type, event.event_type))
        .collect();
    assert_eq!(
        kinds,
        [
            // Just before the list is archived, another caller opens its todo again.
            "Todo reopened",
            "List archived",
            "Step carried_out",
            "List restored",
            "Step carried_out"
        ]
    );
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Open(_)), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn timer_does_not_fire_behind_an_unreadable_event() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    node.done_list().await;
    sleep(MINUTE).await;
    // The event cannot be read, so the list may have changed.
    let position = world
        .painted(ListState::TYPE, "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")
        .await;
    sleep(2 * HOUR).await;
    assert_eq!(world.count("archived").await, 0);
    let builds = world.builds::<Process<ArchiveDoneLists>>().await;
    let failure = builds[0]
        .failure
        .as_ref()
        .expect("the process manager is stuck");
    assert_eq!(failure.position, position);
    let skip = BuildUpdate::Skip(position);
    let skipped = world.documents.update(builds[0].id, skip).await;
    skipped.expect("the process manager is stuck at this position");
    sleep(MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
}

#[tokio::test(start_paused = true)]
async fn list_that_changes_while_others_are_archived_stays_open() {
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
        if matches!(world.state(list).await, ListState::Open(_)) {
            last = list;
        }
    }
    node.create_todo(last).await;
    sleep(HOUR).await;
    assert_eq!(world.count("archived").await, 49);
    assert_eq!(world.count("restored").await, 0);
    let state = world.state::<ListState>(last).await;
    assert!(matches!(state, ListState::Open(_)), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn list_is_not_restored_after_another_caller_has_changed_it() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let touching = Touching::only_list(&world, &node, true).await;
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Archived(_)), "{state:?}");
    assert_eq!(world.count("refused").await, 1);
    assert_eq!(world.count("archived").await, 2);
}

#[tokio::test(start_paused = true)]
async fn caller_cannot_pass_for_a_process_manager() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.lists.next_id();
    let name = "Groceries".parse().expect("a name");
    node.on_list(list, ListCommand::Create { name, owner: None })
        .await;
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
fn stored_form_of_list_steps_does_not_change() {
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
