//! Projections on several nodes: one folds and stores, and all show.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ironstar_adapters::memory::MemoryLeaseStore;
use ironstar_adapters::system::SystemClock;
use ironstar_app::projection::{Documents, FoldError, News, Projection, ReadModel};
use ironstar_app::{Hold, Leases};
use ironstar_ports::{Build, BuildState, Envelope, LeaseStore, Place};
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

use crate::support::{Appointed, SOON, Tally, TallyProjection, World, count, cure, join};

type First = TallyProjection<1>;

/// Longer than a test takes: the store measures it by the clock of the machine, which the paused
/// time of these tests does not move. Nodes report six times in this time.
const TERM: Duration = Duration::from_secs(12);

/// Two nodes, of which the first one was there before the other one.
struct Nodes {
    store: Arc<MemoryLeaseStore>,
    leases: [Leases; 2],
    worlds: [World; 2],
    models: [ReadModel<First>; 2],
}

impl Nodes {
    async fn start() -> Self {
        let store = Arc::new(MemoryLeaseStore::new(TERM, Arc::new(SystemClock)));
        let one = World::new().await;
        let other = one.again().await;
        let [(one_leases, one), (other_leases, other)] =
            [("one", one), ("other", other)].map(|(name, mut world)| {
                let leases = join(store.clone(), name);
                world.projections = world.projections.clone().shared_by(leases.clone());
                (leases, world)
            });
        let first = one.projections.start::<First>();
        one.settled(&first).await;
        let second = other.projections.start::<First>();
        other.settled(&second).await;
        Self {
            store,
            leases: [one_leases, other_leases],
            worlds: [one, other],
            models: [first, second],
        }
    }

    /// The names of the nodes that hold the lease of the projection.
    async fn holders(&self) -> Vec<String> {
        let nodes = self.store.nodes().await.expect("read");
        let holders = nodes.iter().filter(|node| !node.leases.is_empty());
        holders.map(|node| node.id.to_string()).collect()
    }
}

/// The next changes: the documents after them, by key.
async fn changed(news: &mut Receiver<News<Tally>>) -> Vec<(String, Option<u64>)> {
    let news = timeout(SOON, news.recv())
        .await
        .expect("news")
        .expect("open");
    let News::Changed(changes) = news else {
        panic!("the changes are not known: {news:?}");
    };
    let counts = changes.documents.iter().map(|(key, document)| {
        let after = document.after.as_ref().map(|tally| tally.count);
        (key.clone(), after)
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    counts
}

#[tokio::test(start_paused = true)]
async fn one_node_stores_and_all_tell_the_changes() {
    let nodes = Nodes::start().await;
    let [one, other] = &nodes.worlds;
    assert_eq!(nodes.holders().await, ["one"]);
    let mut news = nodes
        .models
        .each_ref()
        .map(|model| model.news().expect("open"));
    let stored = one.store.changes.load(SeqCst);
    for (number, id) in (1..).zip(["a", "b", "a", "a"]) {
        one.happens(id, "happened").await;
        for (world, model) in [one, other].into_iter().zip(&nodes.models) {
            world.settled(model).await;
        }
        let [at_one, at_other] = &mut news;
        let told = changed(at_one).await;
        assert_eq!(told.len(), 1);
        assert_eq!(changed(at_other).await, told);
        assert_eq!(
            one.store.changes.load(SeqCst) - stored,
            number,
            "stored once"
        );
    }
    assert_eq!(count(&nodes.models[1], "a").await, 3);
}

/// What is told can be read: the other node waits until the documents are stored.
#[tokio::test(start_paused = true)]
async fn node_tells_no_change_before_it_is_stored() {
    let nodes = Nodes::start().await;
    let [one, other] = &nodes.worlds;
    one.store.commit_ms.store(700, SeqCst);
    let mut news = nodes.models[1].news().expect("open");
    for wanted in 1..=3 {
        let position = one.happens("a", "happened").await;
        let early = nodes.models[1]
            .reach(position, Duration::from_millis(300))
            .await;
        early.expect_err("it is not stored yet");
        other.settled(&nodes.models[1]).await;
        assert_eq!(count(&nodes.models[1], "a").await, wanted);
        assert_eq!(changed(&mut news).await, [("a".to_owned(), Some(wanted))]);
    }
}

#[tokio::test(start_paused = true)]
async fn event_without_a_change_is_not_waited_for() {
    let nodes = Nodes::start().await;
    let [one, other] = &nodes.worlds;
    one.happens("a", "happened").await;
    other.settled(&nodes.models[1]).await;
    // The node that stores does not move its checkpoint for it at once.
    let quiet = one.happens("a", "quiet").await;
    let soon = Duration::from_millis(200);
    nodes.models[1]
        .reach(quiet, soon)
        .await
        .expect("it changes nothing");
    // A change and an event without one, in one batch of this node, or in two of the other.
    one.happens("a", "happened").await;
    let quiet = one.happens("a", "quiet").await;
    nodes.models[1]
        .reach(quiet, soon)
        .await
        .expect("the change is stored");
}

#[tokio::test(start_paused = true)]
async fn lease_moves_when_its_node_leaves() {
    let nodes = Nodes::start().await;
    let [one, other] = &nodes.worlds;
    one.happens("a", "happened").await;
    one.feed.stop();
    one.projections.stopped().await;
    nodes.leases[0].leave().await.expect("left");
    other.happens("a", "happened").await;
    other.settled(&nodes.models[1]).await;
    assert_eq!(nodes.holders().await, ["other"]);
    assert_eq!(count(&nodes.models[1], "a").await, 2);
}

/// Nodes change their roles while events come, and nothing is lost or folded twice.
#[tokio::test(start_paused = true)]
async fn lease_moves_between_nodes_that_run() {
    let appointed = Arc::new(Appointed::default());
    let one = World::new().await;
    let other = one.again().await;
    let mut nodes = Vec::new();
    for (name, mut world) in [("one", one), ("other", other)] {
        let leases = join(appointed.clone(), name);
        world.projections = world.projections.clone().shared_by(leases.clone());
        let model = world.projections.start::<First>();
        nodes.push((leases, world, model));
    }
    let mut wanted = 0;
    for holder in ["one", "other", "absent", "one", "other", "one"] {
        appointed.appoint(holder);
        for _ in 0..5 {
            wanted += 1;
            nodes[0].1.happens("a", "happened").await;
            sleep(Duration::from_millis(7)).await;
        }
        if holder == "absent" {
            continue;
        }
        for (_, world, model) in &nodes {
            world.settled(model).await;
            assert_eq!(count(model, "a").await, wanted);
        }
    }
}

/// A failure is reported by the node that stores. The others are stuck, too, and go on when it
/// does.
#[tokio::test(start_paused = true)]
async fn failure_is_reported_once_and_ends_on_all_nodes() {
    let nodes = Nodes::start().await;
    let [one, other] = &nodes.worlds;
    one.happens("a", "poison").await;
    one.builds_when::<First>(|builds| builds[0].failure.is_some())
        .await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(one.store.reports.load(SeqCst), 1);
    cure();
    one.builds_when::<First>(|builds| builds[0].failure.is_none())
        .await;
    // The other node tries again after a pause, too.
    sleep(Duration::from_secs(3)).await;
    for (world, model) in [one, other].into_iter().zip(&nodes.models) {
        world.settled(model).await;
        assert_eq!(count(model, "a").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn node_that_cannot_report_counts_its_leases_as_lost() {
    let appointed = Arc::new(Appointed::default());
    appointed.appoint("one");
    let leases = join(appointed.clone(), "one");
    let mut lease = leases.want("work");
    lease.changed().await;
    assert!(matches!(lease.hold(), Hold::Held(lease) if lease.epoch == 1));
    // One report that fails changes nothing.
    appointed.fail_for(appointed.term() / 3);
    sleep(appointed.term() / 2).await;
    assert!(lease.hold().is_here());
    appointed.fail_for(2 * appointed.term());
    timeout(SOON, lease.changed())
        .await
        .expect("the term is over");
    assert_eq!(lease.hold(), Hold::Elsewhere);
    timeout(SOON, lease.changed())
        .await
        .expect("it reports again");
    assert!(lease.hold().is_here());
}

/// The same projection in a newer program, which knows what a `poison` event is.
#[derive(Debug)]
struct Newer;

impl Projection for Newer {
    const NAME: &'static str = First::NAME;
    const VERSION: u32 = First::VERSION;
    const AGGREGATES: &'static [&'static str] = First::AGGREGATES;

    type Document = Tally;

    fn fold(event: &Envelope, documents: &mut Documents<Tally>) -> Result<(), FoldError> {
        let mut known = event.clone();
        known.event_type = "happened".to_owned();
        First::fold(&known, documents)
    }

    fn place(tally: &Tally) -> Option<Place> {
        First::place(tally)
    }
}

/// An older node leaves the lease to a newer one, and shows what that one stores.
#[tokio::test(start_paused = true)]
async fn event_that_a_node_does_not_know_is_left_to_newer_nodes() {
    let store = Arc::new(MemoryLeaseStore::new(TERM, Arc::new(SystemClock)));
    let mut older = World::new().await;
    let mut newer = older.again().await;
    for (world, name) in [(&mut older, "older"), (&mut newer, "newer")] {
        let leases = join(store.clone(), name);
        world.projections = world.projections.clone().shared_by(leases);
    }
    let old = older.projections.start::<First>();
    older.settled(&old).await;
    let new = newer.projections.start::<Newer>();
    newer.settled(&new).await;
    for (wanted, event_type) in [(1, "happened"), (2, "poison"), (3, "happened")] {
        older.happens("a", event_type).await;
        sleep(TERM).await;
        newer.settled(&new).await;
        older.settled(&old).await;
        assert_eq!(count(&old, "a").await, wanted);
    }
    // Now the newer node has the lease. The older one waits calmly, and not for long.
    older.store.commit_ms.store(200, SeqCst);
    let looks = older.store.looks.load(SeqCst);
    let position = older.happens("a", "poison").await;
    newer.settled(&new).await;
    let soon = Duration::from_millis(300);
    old.reach(position, soon).await.expect("it is stored");
    let looks = older.store.looks.load(SeqCst) - looks;
    assert!(looks < 8, "{looks}");
    assert_eq!(count(&old, "a").await, 4);
    let builds = older.builds::<First>().await;
    assert_eq!((&builds[0].failure, builds[0].skipped.len()), (&None, 0));
}

/// After a rollback, a fresh node of the older version builds its read model again. The older node
/// that has given way to the newer version does not keep the lease from it.
#[tokio::test(start_paused = true)]
async fn node_that_gives_way_leaves_its_lease_to_others() {
    let store = Arc::new(MemoryLeaseStore::new(TERM, Arc::new(SystemClock)));
    let mut older = World::new().await;
    let mut newer = older.again().await;
    let mut fresh = older.again().await;
    for (world, name) in [(&mut older, "a"), (&mut newer, "b"), (&mut fresh, "c")] {
        let leases = join(store.clone(), name);
        world.projections = world.projections.clone().shared_by(leases);
    }
    older.happens("a", "happened").await;
    let old = older.projections.start::<First>();
    older.settled(&old).await;
    let _new = newer.projections.start::<TallyProjection<2>>();
    let is_live = |builds: &[Build], version| {
        let mut builds = builds.iter();
        builds.any(|build| build.version == version && build.state == BuildState::Live)
    };
    older
        .builds_when::<First>(|builds| is_live(builds, 2) && builds.len() == 1)
        .await;
    let _back = fresh.projections.start::<First>();
    older
        .builds_when::<First>(|builds| is_live(builds, 1))
        .await;
}
