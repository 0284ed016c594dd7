//! Upgrades while visitors are served: servers of two versions share one PostgreSQL database.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventsource_stream::Eventsource;
use futures::StreamExt;
use futures::future::join_all;
use ironstar_cluster::Cluster;
use parking_lot::RwLock;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::nodes::{are_spread, nodes_when};
use crate::process::{DEADLINE, Server, program, run_to_end, server, undisturbed};
use crate::projections::remarks;

/// The variable with the program of an older version. `cargo xtask upgrade` sets it. Otherwise
/// this version replaces itself.
const OLDER: &str = "OLDER_SERVER";

const WRITERS: usize = 6;

fn start(program: &OsStr, url: &str) -> Server {
    let mut command = Command::new(program);
    undisturbed(&mut command);
    let mut server = Server::start_with(command.args(["--database-url", url]));
    // Nothing reads the log, and a full pipe would stop the server.
    server.close_log();
    server
}

/// The servers that visitors may be sent to. A visitor tries the next one if one does not answer.
#[derive(Default)]
struct Site {
    urls: RwLock<Vec<String>>,
    turn: AtomicUsize,
    is_over: AtomicBool,
}

impl Site {
    fn next(&self) -> String {
        let urls = self.urls.read();
        urls[self.turn.fetch_add(1, Ordering::Relaxed) % urls.len()].clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Creates remarks one after the other. Returns the texts of those that were acknowledged: all.
    async fn write(&self, writer: usize) -> Vec<String> {
        let client = Client::new();
        let mut texts = Vec::new();
        while !self.is_over() {
            let text = format!("remark {writer}-{}", texts.len());
            let create = json!({
                "type": "create", "text": text, "command_id": format!("{writer}-{}", texts.len()),
            });
            let start = Instant::now();
            loop {
                let url = format!("{}/api/commands/remark", self.next());
                let answer = client.post(url).json(&create).send().await;
                let status = answer.map(|answer| answer.status());
                match status {
                    Ok(StatusCode::OK) => break,
                    Ok(StatusCode::SERVICE_UNAVAILABLE) | Err(_) => {}
                    Ok(status) => panic!("{text}: {status}"),
                }
                assert!(start.elapsed() < DEADLINE, "{text}: {status:?}");
                sleep(Duration::from_millis(20)).await;
            }
            texts.push(text);
            sleep(Duration::from_millis(20)).await;
        }
        texts
    }

    /// Follows the log over all servers. Returns the texts of all remarks, once this many arrived
    /// after the end of the load.
    async fn follow(&self, wanted: &AtomicUsize) -> Vec<String> {
        let client = Client::new();
        let mut texts = Vec::new();
        let mut last: Option<String> = None;
        let mut start = Instant::now();
        while !self.is_over() || texts.len() < wanted.load(Ordering::Relaxed) {
            assert!(start.elapsed() < DEADLINE, "{} remarks", texts.len());
            sleep(Duration::from_millis(5)).await;
            let mut request = client.get(format!("{}/api/events?after=0", self.next()));
            if let Some(last) = &last {
                request = request.header("last-event-id", last);
            }
            let Ok(answer) = request.send().await else {
                continue;
            };
            if answer.status() != StatusCode::OK {
                continue;
            }
            let mut events = answer.bytes_stream().eventsource();
            // A stream that is kept for long would hide how the next one begins.
            let until = tokio::time::sleep(Duration::from_millis(500));
            tokio::pin!(until);
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = &mut until => break,
                };
                let Some(Ok(event)) = event else { break };
                assert_ne!(event.event, "log-reset");
                if event.event == "created" {
                    let data: Value = serde_json::from_str(&event.data).expect("JSON");
                    let text = data["payload"]["text"].as_str().expect("a text");
                    texts.push(text.to_owned());
                    start = Instant::now();
                }
                last = Some(event.id);
            }
        }
        texts
    }
}

/// Servers are replaced one by one, first by a newer version, then by the older one, and at last by
/// the newer one again. Meanwhile visitors write and read, and notice nothing.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_replaced_one_by_one_without_a_loss() {
    let Some(cluster) = Cluster::shared("servers_are_replaced_one_by_one_without_a_loss") else {
        return;
    };
    let url = cluster.database().await.expect("a database");
    let newer = program().into_os_string();
    let older = std::env::var_os(OLDER).unwrap_or_else(|| newer.clone());
    let mut servers: Vec<Server> = (0..3).map(|_| start(&older, &url)).collect();
    let urls = |servers: &[Server]| servers.iter().map(|server| server.url.clone()).collect();
    let site = Arc::new(Site::default());
    *site.urls.write() = urls(&servers);
    let wanted = Arc::new(AtomicUsize::new(usize::MAX));
    let writers = (0..WRITERS).map(|writer| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.write(writer).await })
    });
    let writers: Vec<_> = writers.collect();
    let follower = tokio::spawn({
        let (site, wanted) = (Arc::clone(&site), Arc::clone(&wanted));
        async move { site.follow(&wanted).await }
    });

    for (round, program) in [&newer, &newer, &older, &newer, &newer, &newer]
        .into_iter()
        .enumerate()
    {
        let next = start(program, &url);
        let mut last = servers.remove(0);
        servers.push(next);
        *site.urls.write() = urls(&servers);
        let is_killed = round % 3 == 1;
        last.signal(if is_killed { "KILL" } else { "TERM" });
        assert_eq!(last.status().success(), !is_killed);
        let all: Vec<&Server> = servers.iter().collect();
        nodes_when(&url, |nodes| are_spread(nodes, &all));
    }

    site.is_over.store(true, Ordering::Relaxed);
    let written = join_all(writers).await.into_iter();
    let mut written: Vec<String> = written.flat_map(|texts| texts.expect("texts")).collect();
    wanted.store(written.len(), Ordering::Relaxed);
    let mut followed = follower.await.expect("texts");
    written.sort_unstable();
    followed.sort_unstable();
    assert_eq!(followed, written);
    let place = crate::postgres::place_of_new_remark(&servers[0], "the last one").await;
    for server in &servers {
        let remarks = remarks(server, &format!("at_least={place}")).await;
        assert_eq!(remarks.len(), written.len() + 1);
    }
    let status = run_to_end(server().args(["projections", "status", "--database-url", &url]));
    let status = String::from_utf8(status.stdout).expect("text");
    assert!(!status.contains("stuck"), "{status}");
}

/// An event that only a newer version knows is refused with 503, and the log does not go on without it.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_newer_version_are_left_to_newer_servers() {
    let test = "events_of_a_newer_version_are_left_to_newer_servers";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let url = cluster.database().await.expect("a database");
    let mut server = Server::start_with(server().args(["--database-url", &url]));
    server.begin_session().await;
    let (status, note) = server
        .command_on("note", &json!({"type": "create", "text": "mine"}))
        .await;
    assert_eq!(status, StatusCode::OK, "{note}");
    let note = note["id"].as_str().expect("an id");
    let (_, database) = url.rsplit_once('/').expect("a name");
    let newer = format!(
        "INSERT INTO events
         SELECT 2, aggregate_type, aggregate_id, 1, event_type, 9, '{{}}', metadata, created_at
         FROM events WHERE aggregate_id = '{note}'"
    );
    cluster.execute(database, &newer).await.expect("inserted");

    let rewrite = json!({"type": "rewrite", "id": note, "text": "other"});
    let sent = server
        .client
        .post(format!("{}/api/commands/note", server.url))
        .json(&rewrite)
        .send()
        .await
        .expect("an answer");
    assert_eq!(sent.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(sent.headers().contains_key(RETRY_AFTER));
    let problem: Value = sent.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/newer-version", "{problem}");

    // Other notes go on.
    server.create("for all").await;
    let mut events = server.stream_after("/api/events?after=0", None).await;
    let mut seen = Vec::new();
    while let Some(event) = events.next_or_end().await {
        seen.push(event.data);
    }
    assert!(
        seen.iter().all(|data| !data.contains("for all")),
        "{seen:?}"
    );
}
