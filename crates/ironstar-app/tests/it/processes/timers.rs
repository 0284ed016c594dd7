//! Timers fire once, after their waiting time.

use std::time::Duration;

use ironstar_app::process::{Executor, NotExecuted, Process};
use ironstar_domain::Aggregate;
use ironstar_fixtures::closing::{Closer, Closing};
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use ironstar_ports::{BuildUpdate, ProjectionStore, Sequence};
use tokio::time::sleep;
use uuid::Uuid;

use super::support::{Node, World, request};
use super::{HOUR, MINUTE};

impl Node {
    fn close_after(&self, patience: Duration) {
        let (commands, closer) = (self.commands.clone(), Closer(self.commands.clone()));
        let manager = self
            .projections
            .manage::<Closing, _>(commands, closer, patience);
        self.keep(manager);
    }

    async fn on_remark(&self, id: Uuid, command: RemarkCommand) {
        let context = request();
        let done = self
            .commands
            .execute::<RemarkState>(&id, &command, &context);
        done.await.expect("accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn timer_fires_once_after_its_waiting_time() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(HOUR);
    node.create_remark().await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("closed").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("closed").await, 1);
    sleep(10 * HOUR).await;
    assert_eq!(world.count("closed").await, 1);
    assert_eq!(world.count("carried_out").await, 1);
}

#[tokio::test(start_paused = true)]
async fn timer_that_is_set_again_restarts_its_waiting_time() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(HOUR);
    let remark = node.create_remark().await;
    sleep(HOUR / 2).await;
    let text = "Food".to_owned();
    node.on_remark(remark, RemarkCommand::Rewrite { text })
        .await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("closed").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("closed").await, 1);
    node.on_remark(remark, RemarkCommand::Reopen).await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("closed").await, 1);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("closed").await, 2);
}

#[tokio::test(start_paused = true)]
async fn remark_that_has_changed_is_not_closed_by_an_outdated_step() {
    let world = World::new();
    let node = world.node().await;
    let remark = node.create_remark().await;
    let text = "Food".to_owned();
    node.on_remark(remark, RemarkCommand::Rewrite { text })
        .await;
    let closer = Closer(node.commands.clone());
    let (outdated, context) = ((remark, Sequence::FIRST), request());
    let executed = closer.execute(&outdated, &context).await;
    assert!(matches!(executed, Err(NotExecuted::Refused(_))));
    assert_eq!(world.count("closed").await, 0);
}

#[tokio::test(start_paused = true)]
async fn timer_continues_across_restarts_and_fires_once() {
    let world = World::new();
    for _ in 0..3 {
        let node = world.node().await;
        node.close_after(HOUR);
        if world.count("created").await == 0 {
            node.create_remark().await;
        }
        sleep(HOUR / 4).await;
        node.stop();
    }
    // The timer is due while no server runs.
    sleep(HOUR).await;
    assert_eq!(world.count("closed").await, 0);
    for _ in 0..3 {
        let node = world.node().await;
        node.close_after(HOUR);
        sleep(MINUTE).await;
        assert_eq!(world.count("closed").await, 1);
        node.stop();
    }
}

#[tokio::test(start_paused = true)]
async fn new_waiting_time_applies_at_once() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(100 * HOUR);
    node.create_remark().await;
    sleep(3 * HOUR).await;
    node.stop();
    let node = world.node().await;
    node.close_after(2 * HOUR);
    sleep(MINUTE).await;
    assert_eq!(world.count("closed").await, 1);
}

#[tokio::test(start_paused = true)]
async fn many_timers_fire_each_after_its_own_waiting_time() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(HOUR);
    for _ in 0..300 {
        node.create_remark().await;
    }
    sleep(HOUR / 2).await;
    for _ in 0..10 {
        node.create_remark().await;
    }
    sleep(HOUR / 2 + MINUTE).await;
    assert_eq!(world.count("closed").await, 300);
    sleep(HOUR / 2).await;
    assert_eq!(world.count("closed").await, 310);
}

#[tokio::test(start_paused = true)]
async fn clock_that_jumps_fires_no_timer_before_its_time() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(HOUR);
    for _ in 0..50 {
        node.create_remark().await;
    }
    sleep(MINUTE).await;
    world.machine.jump(400 * 24 * HOUR);
    node.create_remark().await;
    sleep(HOUR - 5 * MINUTE).await;
    assert_eq!(world.count("closed").await, 0);
    sleep(10 * MINUTE).await;
    assert_eq!(world.count("closed").await, 51);
}

#[tokio::test(start_paused = true)]
async fn timer_does_not_fire_behind_an_unreadable_event() {
    let world = World::new();
    let node = world.node().await;
    node.close_after(HOUR);
    node.create_remark().await;
    sleep(MINUTE).await;
    // The event cannot be read, so it may have cancelled the timer.
    let position = world
        .painted(RemarkState::TYPE, "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")
        .await;
    sleep(2 * HOUR).await;
    assert_eq!(world.count("closed").await, 0);
    let builds = world.builds::<Process<Closing>>().await;
    let failure = builds[0]
        .failure
        .as_ref()
        .expect("the process manager is stuck");
    assert_eq!(failure.position, position);
    let skip = BuildUpdate::Skip(position);
    let skipped = world.documents.update(builds[0].id, skip).await;
    skipped.expect("the process manager is stuck at this position");
    sleep(MINUTE).await;
    assert_eq!(world.count("closed").await, 1);
}
