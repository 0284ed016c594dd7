//! Servers that share a PostgreSQL database, and what each of them alone does.

use std::collections::BTreeMap;
use std::time::Instant;

use ironstar_cluster::Cluster;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database_url, run_to_end, server};
use crate::projections::remarks;

/// The last report, and the leases, of each server by its address.
pub(crate) type Nodes = BTreeMap<String, (String, Vec<String>)>;

fn start(url: &str) -> Server {
    Server::start_with(server().args(["--database-url", url]))
}

pub(crate) fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

/// The servers, as `nodes` lists them.
fn nodes(url: &str) -> Nodes {
    let listed = run_to_end(server().args(["nodes", "--database-url", url]));
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).expect("text");
    let mut nodes = Nodes::new();
    let mut last = String::new();
    for line in text.lines().skip(2) {
        if let Some(lease) = line.strip_prefix("    ") {
            let (_, leases) = nodes.get_mut(&last).expect("its server");
            leases.push(lease.to_owned());
        } else {
            let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).collect();
            let [_, address, _, _, report, _] = cells[..] else {
                panic!("{text}");
            };
            last = address.trim().to_owned();
            nodes.insert(last.clone(), (report.trim().to_owned(), Vec::new()));
        }
    }
    nodes
}

/// The servers, once they meet a condition.
pub(crate) fn nodes_when(url: &str, is_wanted: impl Fn(&Nodes) -> bool) -> Nodes {
    let start = Instant::now();
    loop {
        let nodes = nodes(url);
        if is_wanted(&nodes) {
            return nodes;
        }
        assert!(start.elapsed() < DEADLINE, "{nodes:#?}");
    }
}

/// Returns true if these servers hold all leases, none of them two more than another.
pub(crate) fn are_spread(nodes: &Nodes, servers: &[&Server]) -> bool {
    let counts = servers.iter().map(|server| {
        let node = nodes.get(&address(server));
        node.map_or(0, |(_, leases)| leases.len())
    });
    let counts: Vec<usize> = counts.collect();
    let held: usize = counts.iter().sum();
    let all: usize = nodes.values().map(|(_, leases)| leases.len()).sum();
    let (least, most) = (counts.iter().min(), counts.iter().max());
    held == all
        && all > 3
        && least
            .zip(most)
            .is_some_and(|(least, most)| most - least <= 1)
}

async fn assert_all_show(servers: &[&Server], text: &str, place: &str) {
    for server in servers {
        let remarks = remarks(server, &format!("at_least={place}")).await;
        let is_there = |remark: &Value| remark["text"] == text;
        assert!(remarks.iter().any(is_there), "{text}: {remarks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_spread_and_taken_over() {
    let Some(cluster) = Cluster::shared("leases_are_spread_and_taken_over") else {
        return;
    };
    let url = cluster.database().await.expect("a database");
    let (one, two, three) = (start(&url), start(&url), start(&url));
    let before = nodes_when(&url, |nodes| are_spread(nodes, &[&one, &two, &three]));
    let all: usize = before.values().map(|(_, leases)| leases.len()).sum();
    three.create("a remark that all servers show").await;

    // Killed: the others take its leases over when its term is over.
    let killed = address(&two);
    two.signal("KILL");
    two.wait();
    let rest = [&one, &three];
    let after = nodes_when(&url, |nodes| are_spread(nodes, &rest));
    let (report, leases) = &after[&killed];
    assert!(report.ends_with("gone"), "{after:#?}");
    assert_eq!(*leases, [""; 0]);
    let held: usize = after.values().map(|(_, leases)| leases.len()).sum();
    assert_eq!(held, all);

    // Stopped: the last one takes over, and the list forgets the other.
    let (status, _) = three.stop();
    assert!(status.success());
    let last = nodes_when(&url, |nodes| are_spread(nodes, &[&one]));
    assert_eq!(last[&address(&one)].1.len(), all);
    one.create("a remark for the last server").await;
}

/// A server that is frozen for longer than its term is replaced. When it goes on, it does no
/// damage, and serves again.
#[tokio::test(flavor = "multi_thread")]
async fn frozen_server_is_replaced_and_does_no_damage() {
    let Some(cluster) = Cluster::shared("frozen_server_is_replaced_and_does_no_damage") else {
        return;
    };
    let url = cluster.database().await.expect("a database");
    let (one, two) = (start(&url), start(&url));
    nodes_when(&url, |nodes| are_spread(nodes, &[&one, &two]));
    let frozen = address(&two);
    for round in 0..2 {
        two.signal("STOP");
        // Until the other one has all leases.
        nodes_when(&url, |nodes| {
            let (_, leases) = &nodes[&frozen];
            leases.is_empty()
        });
        let text = format!("while it was frozen, {round}");
        let place = crate::postgres::place_of_new_remark(&one, &text).await;
        assert_all_show(&[&one], &text, &place).await;
        two.signal("CONT");
        assert_all_show(&[&two], &text, &place).await;
        let text = format!("afterwards, {round}");
        let place = crate::postgres::place_of_new_remark(&two, &text).await;
        assert_all_show(&[&one, &two], &text, &place).await;
        nodes_when(&url, |nodes| are_spread(nodes, &[&one, &two]));
    }
    let status = run_to_end(server().args(["projections", "status", "--database-url", &url]));
    let status = String::from_utf8(status.stdout).expect("text");
    assert!(!status.contains("stuck"), "{status}");
}

#[test]
fn sqlite_file_has_no_nodes() {
    let directory = TempDir::new().expect("a directory");
    let url = database_url(&directory);
    let missing = run_to_end(server().args(["nodes", "--database-url", &url]));
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no database at"));
    let _server = Server::start(&directory);
    let listed = run_to_end(server().args(["nodes", "--database-url", &url]));
    let text = String::from_utf8(listed.stdout).expect("text");
    assert_eq!(
        text,
        "a SQLite file knows no nodes: each server that opens it does everything\n"
    );
}
