//! The promises of [`LeaseStore`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::join_all;

use super::{Rule, Verdict, Violation, equal, failed, let_others_run};
use crate::{Lease, LeaseStore, NodeAbout, NodeId, NodeReport, Position};

type Store = Arc<dyn LeaseStore>;

/// All rules, in reading order. A rule that waits for the end of a term takes that long.
pub const RULES: &[Rule<Store>] = &[
    rule!("lease-has-one-holder", one_holder),
    rule!("lease-of-those-who-want-it", of_those_who_want_it),
    rule!("lease-stays", stays),
    rule!("leases-are-spread", are_spread),
    rule!("leases-are-rebalanced", are_rebalanced),
    rule!("lease-of-a-node-that-leaves", of_a_node_that_leaves),
    rule!("lease-of-a-silent-node", of_a_silent_node),
    rule!("lease-no-longer-wanted", no_longer_wanted),
    rule!("nodes-are-listed", are_listed),
];

/// A lease that several nodes ask for at the same time has one holder.
async fn one_holder(store: Store) -> Verdict {
    let reports = ["a", "b", "c", "d"].map(|node| report(node, &["x"]));
    let told = join_all(reports.iter().map(|report| async {
        let_others_run().await;
        tell(&store, report).await
    }));
    let told: Result<Vec<_>, Violation> = told.await.into_iter().collect();
    equal("the first answers", told?.concat().len(), 1)?;
    let mut held = Vec::new();
    for report in &reports {
        held.extend(tell(&store, report).await?);
    }
    equal("the second answers", held.len(), 1)
}

/// A node gets only leases that it wants.
async fn of_those_who_want_it(store: Store) -> Verdict {
    let (a, b) = (report("a", &["x"]), report("b", &["y", "z"]));
    equal("of a", names(&tell(&store, &a).await?), vec!["x"])?;
    equal("of b", names(&tell(&store, &b).await?), vec!["y", "z"])?;
    equal("of a later", names(&tell(&store, &a).await?), vec!["x"])
}

/// Leases keep their holders and epochs as long as the nodes stay.
async fn stays(store: Store) -> Verdict {
    let reports = ["a", "b"].map(|node| report(node, &["x", "y", "z"]));
    settle(&store, &reports).await?;
    let before = settle(&store, &reports).await?;
    for _ in 0..3 {
        equal(
            "the leases",
            settle(&store, &reports).await?,
            before.clone(),
        )?;
    }
    Ok(())
}

/// Nodes that want the same leases hold the same number of them, give or take one.
async fn are_spread(store: Store) -> Verdict {
    let names: Vec<String> = (0..20).map(|number| format!("lease-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let reports = ["a", "b", "c"].map(|node| report(node, &names));
    settle(&store, &reports).await?;
    let held = settle(&store, &reports).await?;
    let mut counts: Vec<usize> = held.values().map(Vec::len).collect();
    counts.sort_unstable();
    equal("the numbers of leases", counts, vec![6, 7, 7])
}

/// A new node gets its share, under new epochs. The other leases stay.
async fn are_rebalanced(store: Store) -> Verdict {
    let wanted = &["u", "v", "w", "x"];
    let reports = [report("a", wanted), report("b", wanted)];
    let before = tell(&store, &reports[0]).await?;
    equal("alone", before.len(), 4)?;
    tell(&store, &reports[1]).await?;
    let after = settle(&store, &reports).await?;
    let [kept, moved] = ["a", "b"].map(|node| after.get(node).cloned().unwrap_or_default());
    equal("kept", (kept.len(), moved.len()), (2, 2))?;
    let is_kept = kept.iter().all(|lease| before.contains(lease));
    equal("the epochs stay", is_kept, true)?;
    let is_new = moved.iter().all(|lease| {
        let mut before = before.iter().filter(|it| it.name == lease.name);
        before.all(|before| before.epoch < lease.epoch)
    });
    equal("the epochs grow", is_new, true)
}

/// When a node leaves, the next report of another node gets its leases.
async fn of_a_node_that_leaves(store: Store) -> Verdict {
    let [a, b] = ["a", "b"].map(|node| report(node, &["x"]));
    let before = tell(&store, &a).await?;
    equal("of a", names(&before), vec!["x"])?;
    equal("of b", names(&tell(&store, &b).await?), vec![])?;
    store.leave(&a.id).await.map_err(failed("leave"))?;
    let after = tell(&store, &b).await?;
    equal("of b after that", names(&after), vec!["x"])?;
    equal("the epoch grows", before[0].epoch < after[0].epoch, true)
}

/// When a node is silent for the term, other nodes get its leases, and it does not get them back
/// when it returns.
async fn of_a_silent_node(store: Store) -> Verdict {
    let [a, b] = ["a", "b"].map(|node| report(node, &["x"]));
    let before = tell(&store, &a).await?;
    equal("of a", names(&before), vec!["x"])?;
    // The other node reports all the time.
    for _ in 0..11 {
        pause(store.term() / 10).await;
        tell(&store, &b).await?;
    }
    let after = tell(&store, &b).await?;
    equal("of b", names(&after), vec!["x"])?;
    equal("the epoch grows", before[0].epoch < after[0].epoch, true)?;
    equal("of a later", names(&tell(&store, &a).await?), vec![])?;
    equal("of b later", tell(&store, &b).await?, after)
}

/// A lease whose holder no longer wants it goes to another node, or to none.
async fn no_longer_wanted(store: Store) -> Verdict {
    let [mut a, b] = ["a", "b"].map(|node| report(node, &["x"]));
    equal("of a", names(&tell(&store, &a).await?), vec!["x"])?;
    tell(&store, &b).await?;
    a.wanted = vec!["y".to_owned()];
    a.revision += 1;
    equal("of a later", names(&tell(&store, &a).await?), vec!["y"])?;
    equal("of b later", names(&tell(&store, &b).await?), vec!["x"])?;
    let none = NodeReport {
        wanted: Vec::new(),
        revision: b.revision + 1,
        ..b
    };
    equal("of none", names(&tell(&store, &none).await?), vec![])
}

/// Nodes are listed with what they have reported, until they leave.
async fn are_listed(store: Store) -> Verdict {
    let [mut a, b] = ["a", "b"].map(|node| report(node, &["x", "y"]));
    let reports = [a.clone(), b.clone()];
    settle(&store, &reports).await?;
    a.position = Position::new(7);
    let held = tell(&store, &a).await?;
    let nodes = store.nodes().await.map_err(failed("nodes"))?;
    let ids: Vec<&NodeId> = nodes.iter().map(|node| &node.id).collect();
    equal("the nodes", ids, vec![&a.id, &b.id])?;
    equal("what a says", &nodes[0].about, &a.about)?;
    equal("the position", nodes[0].position, a.position)?;
    equal(
        "the leases",
        nodes[0].leases.iter().map(String::as_str).collect(),
        names(&held),
    )?;
    equal("a runs", nodes[0].is_running, true)?;
    store.leave(&a.id).await.map_err(failed("leave"))?;
    let nodes = store.nodes().await.map_err(failed("nodes"))?;
    equal("the nodes that are left", nodes.len(), 1)
}

/// All nodes report, one after the other. Returns the leases of each.
async fn settle(
    store: &Store,
    reports: &[NodeReport],
) -> Result<BTreeMap<String, Vec<Lease>>, Violation> {
    let mut held = BTreeMap::new();
    for report in reports {
        held.insert(report.id.to_string(), tell(store, report).await?);
    }
    Ok(held)
}

fn report(node: &str, wanted: &[&str]) -> NodeReport {
    NodeReport {
        id: NodeId::new(node),
        about: NodeAbout {
            version: "1.2.3".to_owned(),
            host: format!("host-of-{node}"),
            address: "127.0.0.1:3000".to_owned(),
        },
        wanted: wanted.iter().map(|name| (*name).to_owned()).collect(),
        revision: 1,
        position: Position::START,
    }
}

async fn tell(store: &Store, report: &NodeReport) -> Result<Vec<Lease>, Violation> {
    store.report(report).await.map_err(failed("report"))
}

fn names(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| &*lease.name).collect()
}

/// Waits, on any runtime.
async fn pause(time: Duration) {
    let (done, is_done) = oneshot::channel();
    thread::spawn(move || {
        thread::sleep(time);
        done.send(())
    });
    // The thread always sends.
    let _ = is_done.await;
}
