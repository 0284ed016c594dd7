//! Read models of two versions of a projection, as in a deployment.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::system::SystemClock;
use ironstar_app::projection::Projections;
use ironstar_ports::contract::doubles;
use ironstar_ports::{Build, BuildState, BuildUpdate, ProjectionStore, StoreError};
use tokio::sync::Barrier;

use crate::support::{Tally, TallyProjection, World, count, tally};

type First = TallyProjection<1>;
type Second = TallyProjection<2>;

/// A store on which the first two builds begin before either process looks at the builds.
#[derive(Debug)]
struct BeginAtOnce {
    inner: Arc<dyn ProjectionStore>,
    /// The versions of the builds that have begun.
    begun: Mutex<Vec<u32>>,
    both: Barrier,
}

#[async_trait]
impl doubles::AroundProjectionStore for BeginAtOnce {
    fn inner(&self) -> &dyn ProjectionStore {
        &*self.inner
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        let build = self.inner.begin(name, version).await?;
        let count = {
            let mut begun = self.begun.lock().expect("the lock is not poisoned");
            begun.push(version);
            begun.len()
        };
        if count <= 2 {
            self.both.wait().await;
        }
        Ok(build)
    }
}

fn version(tally: Option<Tally>) -> Option<u32> {
    tally.map(|tally| tally.version)
}

/// A world with a live read model of the first version, and ten events.
async fn world_of_first() -> World {
    let world = World::new().await;
    let first = world.projections.start::<First>();
    for _ in 0..10 {
        world.happens("a", "happened").await;
    }
    world.settled(&first).await;
    world
}

#[tokio::test(start_paused = true)]
async fn new_version_is_built_beside_the_old_one_and_replaces_it() {
    let world = world_of_first().await;
    world.feed.stop();
    let later = world.again().await;
    // The build begins, and an operator cancels it for now.
    let begun = later.store.begin("tally", 2).await.expect("begun");
    later
        .store
        .update(begun.id, BuildUpdate::Cancel)
        .await
        .expect("cancelled");
    let second = later.projections.start::<Second>();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let old = tally(&second, "a").await.expect("the old one serves");
    assert_eq!((old.version, old.count), (1, 10));
    later.store.begin("tally", 2).await.expect("goes on");
    later.settled(&second).await;
    let new = tally(&second, "a").await.expect("the new one serves");
    assert_eq!((new.version, new.count), (2, 10));
    let builds = later.builds::<Second>().await;
    assert_eq!(builds.len(), 1, "the old one has ended: {builds:#?}");
    assert_eq!(
        (builds[0].id, builds[0].state),
        (begun.id, BuildState::Live)
    );
}

/// As in a deployment: otherwise two versions would replace each other for ever.
#[tokio::test(start_paused = true)]
async fn old_version_gives_way_where_both_versions_run() {
    let world = world_of_first().await;
    let later = world.again().await;
    let second = later.projections.start::<Second>();
    later.settled(&second).await;
    let begun = later.builds::<Second>().await[0].id;
    for _ in 0..100 {
        world.happens("a", "happened").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let builds = later.builds::<Second>().await;
        assert_eq!(builds.len(), 1, "{builds:#?}");
        assert_eq!(builds[0].id, begun, "the live build is still the same");
    }
    later.settled(&second).await;
    assert_eq!(count(&second, "a").await, 110);
}

#[tokio::test(start_paused = true)]
async fn old_version_can_be_restored_by_a_rebuild() {
    let world = world_of_first().await;
    world.feed.stop();
    let later = world.again().await;
    later.settled(&later.projections.start::<Second>()).await;
    later.feed.stop();
    let back = later.again().await;
    let first = back.projections.start::<First>();
    back.settled(&first).await;
    assert_eq!(version(tally(&first, "a").await), Some(1));
}

/// The second build discards the first. The process of the discarded build must not begin again,
/// or both would discard each other's builds for ever.
#[tokio::test(start_paused = true)]
async fn version_gives_way_even_if_its_build_is_discarded_before_the_next_look() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let store = Arc::new(BeginAtOnce {
        inner: world.store.clone(),
        begun: Mutex::default(),
        both: Barrier::new(2),
    });
    let process = || {
        let (log, feed) = (world.log.clone(), world.feed.clone());
        Projections::new(store.clone(), log, feed, Arc::new(SystemClock))
    };
    let _first = process().start::<First>();
    let second = process().start::<Second>();
    let is_live = |build: &Build| build.state == BuildState::Live && build.version == 2;
    world
        .builds_when::<Second>(|builds: &[Build]| builds.iter().any(is_live))
        .await;
    world.settled(&second).await;
    // Both look again several times.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let begun = std::mem::take(&mut *store.begun.lock().expect("the lock is not poisoned"));
    assert_eq!(begun, [1, 2], "the first version gives way");
    assert_eq!(version(tally(&second, "a").await), Some(2));
}
