//! The whole path: from a command to the disk, to every stream, and across a restart.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use ironstar_fixtures::note::OPEN;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, database, live_page, rows};

const ROWS: &str = "SELECT id, aggregate_type, sequence, event_type, payload FROM events";

#[tokio::test]
async fn a_remark_reaches_the_disk_and_every_stream() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let mut page = server.stream(&live_page()).await;
    let mut raw = server.stream("/api/events?key=events/Remark/**").await;
    // The number of visitors is sent without an id.
    while page.next().await.id != "0" {}

    let id = server.create("Buy milk").await;
    let mut patch = page.next().await;
    while patch.id != "1" {
        patch = page.next().await;
    }
    assert!(patch.data.contains("Buy milk"));
    let event = raw.next().await;
    let envelope: Value = serde_json::from_str(&event.data).expect("JSON");
    assert_eq!((&*event.event, &*event.id), ("created", "1"));
    assert_eq!(envelope["aggregate_id"], id);

    assert_eq!(
        rows(&database(&directory), ROWS).await,
        [(
            1,
            "Remark".to_owned(),
            0,
            "created".to_owned(),
            format!(r#"{{"type":"created","note":"{OPEN}","text":"Buy milk"}}"#)
        )]
    );
}

#[tokio::test]
async fn acknowledged_events_survive_a_kill() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let id = server.create("Buy milk").await;
    let close = json!({"type": "close", "id": id});
    server.command(&close).await;
    server.signal("KILL");
    server.wait();

    let server = Server::start(&directory);
    let page = server.client.get(&server.url).send().await.expect("a page");
    let page = page.text().await.expect("text");
    assert_eq!(page.matches("class=\"closed\"").count(), 1);
    let (status, _) = server.command(&close).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(rows(&database(&directory), ROWS).await.len(), 2);
}

/// The bus is embedded: only the web server listens.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_web_port_is_the_only_socket_that_listens() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Buy milk").await;
    let own = own_sockets(server.id());
    let mut bound = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/{}/net/{protocol}", server.id()));
        for line in table.unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // State 0A means that the socket listens. A bound UDP socket receives.
            let receives = fields[3] == "0A" || protocol.starts_with("udp");
            if receives && own.contains(&fields[9].to_owned()) {
                bound.push((protocol, fields[1].to_owned()));
            }
        }
    }
    let port: u16 = server
        .url
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    assert_eq!(bound, [("tcp", format!("0100007F:{port:04X}"))]);
}

/// Returns the inodes of a process's sockets.
#[cfg(target_os = "linux")]
fn own_sockets(process: u32) -> Vec<String> {
    fs::read_dir(format!("/proc/{process}/fd"))
        .expect("its files")
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn server_warns_about_database_that_others_can_read() {
    let directory = TempDir::new().expect("a directory");
    for (mode, is_told) in [(0o600, false), (0o640, true)] {
        let (_, log) = Server::start(&directory).stop();
        let words = "chmod 600";
        assert!(!log.contains(words), "{log}");
        let file = database(&directory);
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("set");
        let (_, log) = Server::start(&directory).stop();
        assert_eq!(log.contains(words), is_told, "{log}");
    }
}
