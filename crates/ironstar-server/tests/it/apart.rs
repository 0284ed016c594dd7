//! Servers on one PostgreSQL database, of which one is cut off from the router or from the
//! database, or has a wrong clock.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ironstar_cluster::Cluster;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::bus::{free_address, router};
use crate::nodes::{address, are_spread, nodes_when};
use crate::process::{DEADLINE, Events, Server, live_page, server};
use crate::programs::skip;
use crate::projections::remarks;

/// A road to another address, which can be closed. While it is closed, its connections stay open
/// and carry nothing, as if the network were gone.
struct Road {
    port: u16,
    is_open: watch::Sender<bool>,
}

impl Road {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let road = Self {
            port: listener.local_addr().expect("an address").port(),
            is_open: watch::Sender::new(true),
        };
        let is_open = road.is_open.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, is_open.clone()));
            }
        });
        road
    }

    fn close(&self) {
        self.is_open.send_replace(false);
    }

    fn open(&self) {
        self.is_open.send_replace(true);
    }
}

/// Carries a connection until the road is closed. Then keeps both ends until it is open again,
/// and ends them: what was on its way is lost.
async fn carry(mut near: TcpStream, port: u16, mut is_open: watch::Receiver<bool>) {
    let open = |is_open: &bool| *is_open;
    if is_open.wait_for(open).await.is_err() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let mut until = is_open.clone();
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => return,
        _ = until.wait_for(|is_open| !is_open) => {}
    }
    let _ = is_open.wait_for(open).await;
}

async fn shows(page: &mut Events, text: &str) {
    while !page.next().await.data.contains(text) {}
}

fn port_of(address: &str) -> u16 {
    let (_, port) = address.rsplit_once(':').expect("a port");
    port.parse().expect("a port")
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_was_cut_off_shows_all_that_it_has_missed() {
    let test = "server_that_was_cut_off_shows_all_that_it_has_missed";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let (url, hub) = (
        cluster.database().await.expect("a database"),
        free_address(),
    );
    let running = router(&hub).await;
    let to_router = Road::to(port_of(&hub)).await;
    let to_database = Road::to(cluster.port()).await;
    let far_url = url.replace(
        &format!(":{}/", cluster.port()),
        &format!(":{}/", to_database.port),
    );
    assert_ne!(far_url, url);
    let start = |url: &str, router: &str| {
        let options = ["--database-url", url, "--bus-connect", router];
        Server::start_with(server().args(options))
    };
    let near = start(&url, &hub);
    let far = start(&far_url, &format!("tcp/127.0.0.1:{}", to_router.port));
    let mut near_page = near.stream(&live_page()).await;
    let mut far_page = far.stream(&live_page()).await;

    // One is cut off from the router: both still show everything, because they poll the log.
    to_router.close();
    near.create("while one was cut off from the router").await;
    shows(&mut far_page, "while one was cut off from the router").await;
    far.create("from beyond the router").await;
    shows(&mut near_page, "from beyond the router").await;
    to_router.open();

    // The router is gone for all.
    running.close().await.expect("closed");
    near.create("without a router").await;
    shows(&mut far_page, "without a router").await;
    let _running = router(&hub).await;

    // One is cut off from the database: it refuses commands, and the other one takes its leases.
    to_database.close();
    let create = json!({"type": "create", "text": "from nowhere"});
    let (status, answer) = far.command(&create).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    nodes_when(&url, |nodes| nodes[&address(&far)].1.is_empty());
    let place = crate::postgres::place_of_new_remark(&near, "without the other").await;
    let there = remarks(&near, &format!("at_least={place}")).await;
    assert!(
        there
            .iter()
            .any(|remark| remark["text"] == "without the other")
    );

    to_database.open();
    shows(&mut far_page, "without the other").await;
    let start = Instant::now();
    while far.command(&create).await.0 != StatusCode::OK {
        assert!(start.elapsed() < DEADLINE, "it still refuses commands");
    }
    shows(&mut near_page, "from nowhere").await;
    nodes_when(&url, |nodes| are_spread(nodes, &[&near, &far]));
}

/// A library that shows programs another time.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let mut found = folders.flatten().map(|folder| {
        let path = folder.path();
        path.join("faketime/libfaketimeMT.so.1")
    });
    found.find(|path| path.is_file())
}

/// The servers' own clocks do not matter: events, sessions, keys and timers go by the database's.
#[tokio::test(flavor = "multi_thread")]
async fn servers_with_wrong_clocks_agree() {
    let test = "servers_with_wrong_clocks_agree";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let Some(library) = faketime() else {
        skip(test, "faketime");
        return;
    };
    let url = cluster.database().await.expect("a database");
    let start = |offset: &str| {
        let options = ["--database-url", &url, "--close-remarks-after", "3"];
        let mut command = server();
        command
            .args(options)
            .env("LD_PRELOAD", &library)
            .envs([("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        Server::start_with(&mut command)
    };
    let (mut early, mut late) = (start("-1h"), start("+1h"));
    nodes_when(&url, |nodes| are_spread(nodes, &[&early, &late]));
    for _ in 0..2 {
        let (one, other) = (&mut early, &mut late);
        one.client = Client::new();
        let cookie = one.begin_session().await;
        other.resume_session(&cookie);
        let mine = other.client.get(format!("{}/api/session", other.url));
        let mine = mine.send().await.expect("an answer");
        assert_eq!(mine.status(), StatusCode::OK);
        let create = json!({"type": "create", "text": "mine", "command_id": "k"});
        let (status, first) = one.command(&create).await;
        assert_eq!(status, StatusCode::OK, "{first}");
        let since = Instant::now();
        assert_eq!(
            other.command(&create).await,
            (StatusCode::OK, first.clone())
        );

        let is_closed = async || {
            let remarks = remarks(other, "").await;
            let id = &first["id"];
            let is_it = |remark: &&Value| &remark["id"] == id;
            let remark = remarks.iter().find(is_it);
            remark.is_some_and(|remark| remark["is_closed"] == true)
        };
        while !is_closed().await {
            assert!(since.elapsed() < DEADLINE, "the remark is never closed");
            sleep(Duration::from_millis(20)).await;
        }
        assert!(since.elapsed() > Duration::from_millis(2_900), "{since:?}");
        std::mem::swap(&mut early, &mut late);
    }
    let (_, database) = url.rsplit_once('/').expect("a name");
    let check = "DO $$ BEGIN
        ASSERT NOT EXISTS (SELECT FROM events WHERE abs(extract(epoch FROM now() - created_at)) > 600);
    END $$";
    cluster
        .execute(database, check)
        .await
        .expect("times are right");
}
