//! Read models that several stores share.

use futures::future::join_all;
use ironstar_cluster::Cluster;
use ironstar_ports::{
    BuildState, BuildUpdate, Document, DocumentBatch, DocumentChange, DocumentQuery,
    DocumentSource, LogPlace, Payload, Position, ProjectionStore,
};

use super::{fresh_url, open};

#[tokio::test(flavor = "multi_thread")]
async fn build_is_begun_once_by_several_stores() {
    let Some(cluster) = Cluster::shared("build_is_begun_once_by_several_stores") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let stores = join_all((0..3).map(|_| open(&url))).await;
    let stores: Vec<_> = stores.iter().map(|store| store.projections()).collect();
    for version in 1..=5 {
        let begun = (0..12).map(|number| stores[number % stores.len()].begin("notes", version));
        let begun = join_all(begun).await;
        let ids: Vec<_> = begun
            .into_iter()
            .map(|build| build.expect("begun").id)
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let builds = stores[0].builds().await.expect("read");
        let building = builds.iter().filter(|it| it.state == BuildState::Building);
        assert_eq!(building.count(), 1);
    }
    let build = stores[0].begin("notes", 5).await.expect("begun");
    let promoted = stores
        .iter()
        .map(|store| store.update(build.id, BuildUpdate::Promote));
    let promoted = join_all(promoted).await;
    let winners = promoted.iter().filter(|promoted| promoted.is_ok());
    assert_eq!(winners.count(), 1, "{promoted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_stores_moves_a_checkpoint() {
    let Some(cluster) = Cluster::shared("one_of_several_stores_moves_a_checkpoint") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let stores = join_all((0..3).map(|_| open(&url))).await;
    let stores: Vec<_> = stores.iter().map(|store| store.projections()).collect();
    let build = stores[0].begin("notes", 1).await.expect("begun").id;
    for round in 0..20 {
        let batch = |writer: usize| DocumentBatch {
            build,
            from: LogPlace::unmarked(Position::new(round)),
            to: LogPlace::unmarked(Position::new(round + 1)),
            changes: (0..10)
                .map(|key| {
                    DocumentChange::Put(Document {
                        key: format!("key-{key}"),
                        place: None,
                        body: Payload::from_text(format!("[{round}, {writer}]")).expect("JSON"),
                    })
                })
                .collect(),
        };
        let commits = (0..6).map(|writer| stores[writer % stores.len()].commit(batch(writer)));
        let outcomes = join_all(commits).await;
        let winners: Vec<_> = (0..6).filter(|writer| outcomes[*writer].is_ok()).collect();
        let [winner] = winners[..] else {
            panic!("{outcomes:?}");
        };
        let query = DocumentQuery {
            keys: (0..10).map(|key| format!("key-{key}")).collect(),
            page: None,
        };
        let found = stores[0].find(&DocumentSource::Build(build), &query).await;
        let found = found.expect("read").expect("a build");
        assert_eq!(found.checkpoint.position.get(), round + 1);
        assert_eq!(found.keyed.len(), 10);
        let body = format!("[{round}, {winner}]");
        let is_of_winner = |document: &Document| document.body.as_str() == body;
        assert!(found.keyed.iter().all(is_of_winner), "{found:?}");
    }
}
