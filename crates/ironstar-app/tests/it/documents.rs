//! Documents that cannot be read.

use std::time::Duration;

use ironstar_app::ReadModel;
use ironstar_app::projection::{Projection, ReadError};
use ironstar_ports::{
    BuildUpdate, Document, DocumentBatch, DocumentChange, Payload, Position, ProjectionStore,
};

use crate::support::{TallyProjection, World, count};

type First = TallyProjection<1>;
type Second = TallyProjection<2>;
type Robust = TallyProjection<1, true>;

/// Replaces documents of a projection's live build with invalid ones.
async fn spoil<P: Projection>(world: &World, keys: &[&str]) {
    let live = world.builds::<P>().await.remove(0);
    let change = |key: &&str| {
        DocumentChange::Put(Document {
            key: (*key).to_owned(),
            place: None,
            body: Payload::from_text(r#"{"odd":true}"#.to_owned()).expect("JSON"),
        })
    };
    let batch = DocumentBatch {
        build: live.id,
        from: live.checkpoint,
        to: live.checkpoint,
        changes: keys.iter().map(change).collect(),
    };
    world.store.commit(batch).await.expect("spoilt");
}

/// A world before a restart, in which two projections have these documents.
async fn world_with(keys: &[&str]) -> World {
    let world = World::new().await;
    for key in keys {
        world.happens(key, "happened").await;
    }
    world.settled(&world.projections.start::<First>()).await;
    world.settled(&world.projections.start::<Robust>()).await;
    world.feed.stop();
    // Wait until no task is left that could replace the documents.
    tokio::time::sleep(Duration::from_secs(5)).await;
    world
}

async fn find<P: Projection>(model: &ReadModel<P>, key: &str) -> Result<(), ReadError> {
    model.find(vec![key.to_owned()], None).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn projection_that_needs_a_damaged_document_is_stuck_and_others_continue() {
    let world = world_with(&["a", "b", "c"]).await;
    spoil::<First>(&world, &["b", "c"]).await;
    let world = world.again().await;
    let (model, robust) = (
        world.projections.start::<First>(),
        world.projections.start::<Robust>(),
    );
    let before = world.happens("a", "happened").await;
    let stuck = world.happens("b", "happened").await;
    let last = world.happens("a", "happened").await;
    let builds = world
        .builds_when::<First>(|builds| builds[0].failure.is_some())
        .await;
    let failure = builds[0].failure.clone().expect("the build has failed");
    assert_eq!(
        (failure.position, &*failure.event_type),
        (stuck, "happened")
    );
    let reason = "the document \"b\" cannot be read: missing field `version`";
    assert!(failure.reason.starts_with(reason), "{}", failure.reason);
    assert_eq!(builds[0].checkpoint.position, before);
    assert_eq!(count(&model, "a").await, 2, "earlier events are folded");
    world.settled(&robust).await;
    assert_eq!(count(&robust, "b").await, 2);
    let skip = BuildUpdate::Skip(stuck);
    world
        .store
        .update(builds[0].id, skip)
        .await
        .expect("skipped");
    world
        .builds_when::<First>(|builds| builds[0].checkpoint.position == last)
        .await;
    assert_eq!(count(&model, "a").await, 3);
}

#[tokio::test(start_paused = true)]
async fn query_for_a_damaged_document_says_so() {
    let world = world_with(&["a", "b"]).await;
    spoil::<First>(&world, &["b"]).await;
    let world = world.again().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    find(&model, "a")
        .await
        .expect("this document is not damaged");
    let error = find(&model, "b").await.expect_err("damaged");
    assert!(
        matches!(&error, ReadError::Damaged { name: "tally", key, .. } if key == "b"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn document_of_another_version_is_not_called_damaged() {
    let world = world_with(&["a", "b"]).await;
    spoil::<First>(&world, &["b"]).await;
    // A new version begins a build, and an operator cancels it for now.
    let begun = world.store.begin("tally", 2).await.expect("begun");
    let cancel = BuildUpdate::Cancel;
    let cancelled = world.store.update(begun.id, cancel).await;
    cancelled.expect("the build is in progress");
    let world = world.again().await;
    let second = world.projections.start::<Second>();
    tokio::time::sleep(Duration::from_secs(5)).await;
    find(&second, "a")
        .await
        .expect("this document can be read by the new version");
    let error = find(&second, "b").await.expect_err("of another version");
    assert!(
        matches!(
            &error,
            ReadError::OtherVersion {
                name: "tally",
                version: 1
            }
        ),
        "{error}"
    );
    world.store.begin("tally", 2).await.expect("goes on");
    world.settled(&second).await;
    find(&second, "b").await.expect("the document was rebuilt");
    assert_eq!(second.position(), Position::new(2));
}
