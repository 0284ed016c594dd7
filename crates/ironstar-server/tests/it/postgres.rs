//! Servers on a PostgreSQL database, which they share.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use ironstar_cluster::Cluster;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::bus::{free_address, router};
use crate::process::{DEADLINE, Server, live_page, run_to_end, server};
use crate::projections::remarks;

async fn fresh(cluster: &Cluster) -> String {
    cluster.database().await.expect("a database")
}

fn start(url: &str, options: &[&str]) -> Server {
    let database = ["--database-url", url];
    Server::start_with(server().args(database).args(options))
}

/// A server of its own, because it is stopped.
fn own_cluster(test: &str) -> Option<Cluster> {
    Cluster::shared(test)?;
    Some(Cluster::start().expect("PostgreSQL starts"))
}

pub(crate) async fn place_of_new_remark(server: &Server, text: &str) -> String {
    let create = json!({"type": "create", "text": text});
    let (status, answer) = server.command(&create).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["place"].as_str().expect("a place").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_show_each_others_changes_at_once() {
    let Some(cluster) = Cluster::shared("servers_show_each_others_changes_at_once") else {
        return;
    };
    let (url, address) = (fresh(cluster).await, free_address());
    let _router = router(&address).await;
    let options = ["--bus-connect", &address];
    let servers = [start(&url, &options), start(&url, &options)];
    let mut pages = join_all(servers.iter().map(|server| async {
        let mut page = server.stream(&live_page()).await;
        page.next().await;
        page
    }))
    .await;
    for (number, server) in servers.iter().cycle().take(6).enumerate() {
        let text = format!("remark-{number}");
        server.create(&text).await;
        for page in &mut pages {
            while !page.next().await.data.contains(&text) {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_write_is_read_on_another_server() {
    let Some(cluster) = Cluster::shared("own_write_is_read_on_another_server") else {
        return;
    };
    let url = fresh(cluster).await;
    let (one, other) = (start(&url, &[]), start(&url, &[]));
    for number in 0..20 {
        let text = format!("remark {number}");
        let place = place_of_new_remark(&one, &text).await;
        let remarks = remarks(&other, &format!("at_least={place}")).await;
        let is_there = |remark: &Value| remark["text"] == text.as_str();
        assert!(remarks.iter().any(is_there), "{text}: {remarks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_and_command_keys_hold_on_every_server() {
    let Some(cluster) = Cluster::shared("session_and_command_keys_hold_on_every_server") else {
        return;
    };
    let url = fresh(cluster).await;
    let (mut one, mut other) = (start(&url, &[]), start(&url, &[]));
    let cookie = one.begin_session().await;
    other.resume_session(&cookie);
    let create = json!({"type": "create", "text": "mine", "command_id": "k"});
    let (status, first) = one.command(&create).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let again = other.command(&create).await;
    assert_eq!(again, (StatusCode::OK, first));
    let me = other.client.get(format!("{}/api/session", other.url));
    let me = me.send().await.expect("an answer");
    assert_eq!(me.status(), StatusCode::OK);
}

/// The server answers 503 while the database is away, its streams stay, and all heals by itself.
#[tokio::test(flavor = "multi_thread")]
async fn server_outlives_a_crash_of_its_database() {
    let Some(cluster) = own_cluster("server_outlives_a_crash_of_its_database") else {
        return;
    };
    let server = start(&fresh(&cluster).await, &[]);
    let mut events = server.stream("/api/events").await;
    let mut page = server.stream(&live_page()).await;
    page.next().await;
    let before = server.create("before").await;
    while !events.next().await.data.contains(&before) {}
    cluster.crash().expect("crashed");

    let create = json!({"type": "create", "text": "meanwhile"});
    let request = server
        .client
        .post(format!("{}/api/commands/remark", server.url));
    let refused = request.json(&create).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    let problem: Value = refused.json().await.expect("JSON");
    assert!(!problem.to_string().contains("postgres"), "{problem}");
    let read = server.client.get(format!("{}/api/remarks", server.url));
    let read = read.send().await.expect("an answer");
    assert_eq!(read.status(), StatusCode::SERVICE_UNAVAILABLE);
    let html = server.client.get(&server.url).header("accept", "text/html");
    let html = html.send().await.expect("an answer");
    assert_eq!(html.status(), StatusCode::SERVICE_UNAVAILABLE);

    cluster.start_again().expect("started again");
    let since = Instant::now();
    let after = loop {
        let (status, answer) = server
            .command(&json!({"type": "create", "text": "after"}))
            .await;
        if status == StatusCode::OK {
            break answer["id"].as_str().expect("an id").to_owned();
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(
            since.elapsed() < DEADLINE,
            "the server does not answer commands again"
        );
        sleep(Duration::from_millis(50)).await;
    };
    // The streams from before, without a new connection.
    while !events.next().await.data.contains(&after) {}
    while !page.next().await.data.contains("after") {}
    let (status, _) = server.stop();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_waits_for_its_database_at_the_start() {
    let Some(cluster) = own_cluster("server_waits_for_its_database_at_the_start") else {
        return;
    };
    let url = fresh(&cluster)
        .await
        .replace("postgres@", "postgres:s3cret@");
    cluster.crash().expect("crashed");
    let starting = tokio::task::spawn_blocking(move || start(&url, &[]));
    sleep(Duration::from_secs(2)).await;
    assert!(!starting.is_finished());
    cluster.start_again().expect("started again");
    let server = starting.await.expect("it starts");
    assert!(
        server
            .ready
            .contains("(events in postgres://postgres@127.0.0.1:")
    );
    assert!(!server.ready.contains("s3cret"), "{}", server.ready);
    server.create("remark").await;
    let (status, log) = server.stop();
    assert!(status.success());
    let told = "the database of --database-url cannot be reached; the server tries again in 1 s";
    assert!(log.contains(told), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_waits_for_its_database_can_be_stopped() {
    let nowhere = free_address();
    let url = format!("postgres://ada@{}/x", nowhere.trim_start_matches("tcp/"));
    let mut command = server();
    command.args(["--database-url", &url, "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::piped());
    let mut waiting = command.spawn().expect("it starts");
    let log = BufReader::new(waiting.stderr.take().expect("its log"));
    let mut lines = log.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains("the server tries again in 1 s")));
    let mut stop = Command::new("kill");
    let stopped = stop.arg(waiting.id().to_string()).status();
    assert!(stopped.expect("kill runs").success());
    let status = tokio::task::spawn_blocking(move || waiting.wait()).await;
    let status = status.expect("no panic").expect("its status");
    assert!(status.success(), "{status}");
}

/// Neither the message nor the help shows the text, which may hold a password.
#[test]
fn invalid_url_is_refused_without_its_password() {
    for (url, reason) in [
        ("postgres://ada:s3cret@localhost", "names no database"),
        (
            "postgres://ada:s3cret@localhost/x?sslmod=require",
            "has the unknown parameter \"sslmod\"",
        ),
        ("postgres://ada:s3/cret@localhost/x", "write %40 for @"),
    ] {
        for output in [
            run_to_end(server().args(["--database-url", url])),
            run_to_end(server().env("DATABASE_URL", url)),
        ] {
            assert_eq!(output.status.code(), Some(2));
            let message = String::from_utf8(output.stderr).expect("text");
            assert!(message.contains(reason), "{message}");
            assert!(!message.contains("s3"), "{message}");
        }
    }
}
