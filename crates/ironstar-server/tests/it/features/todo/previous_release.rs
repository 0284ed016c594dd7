//! A database of the previous release opens, and its lists, links and events are served.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;

use super::{command, start, todos};
use crate::process::{DEADLINE, database, rows};
use crate::projections::connect;

const DUMP: &str = include_str!("previous_release/database.sql");

/// A todo of the shared list, with four events.
const TODO: &str = "01a22d23-4584-73f1-ad0c-4d27c99d518c";

/// A list that its owner has renamed and shared, and that was handed over at a sign-in.
const LIST: &str = "01a22d23-45e4-730f-8035-59c43a0affc0";
const LINK: &str = "EAe_PFgK5jAYrsNmGa5y_rteyMxAxgEh";
const REVOKED: &str = "5rVQqnkKCjuy_Zk1wcYo5rE-t6OEWLYf";

#[tokio::test]
async fn database_of_the_previous_release_opens_and_is_served() {
    let directory = TempDir::new().expect("a directory");
    let mut connection = connect(&directory).await;
    let loaded = connection.execute(AssertSqlSafe(DUMP)).await;
    loaded.expect("the dump is loaded");
    drop(connection);

    let server = start(&directory);
    let shown = todos(&server, "at_least=28").await;
    assert_eq!(shown["todos"][0]["text"], "Buy oat milk");
    assert_eq!(shown["counts"], json!({"active": 1, "completed": 0}));
    let get = async |path: String| {
        let page = server.client.get(format!("{}{path}", server.url));
        let page = page.send().await.expect("an answer");
        (page.status(), page.text().await.expect("text"))
    };
    let (status, page) = get(format!("/lists/{LIST}?link={LINK}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Food") && page.contains("Bread"), "{page}");
    for closed in [format!("?link={REVOKED}"), String::new()] {
        let (status, _) = get(format!("/lists/{LIST}{closed}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{closed}");
    }
    let mut events = server
        .stream(&format!("/api/events?after=0&link={LINK}"))
        .await;
    let mut types = Vec::new();
    while types.last().is_none_or(|last| last != "handed_over") {
        types.push(events.next().await.event);
    }
    assert_eq!(types.iter().filter(|it| *it == "created").count(), 4);

    let complete = json!({"type": "complete", "id": TODO});
    let (status, answer) = command(&server, &complete).await;
    assert_eq!((status, &answer["sequence"]), (StatusCode::OK, &json!(4)));
    // All events of the previous release have been read.
    let builds = async || {
        let query =
            "SELECT checkpoint, name, version, state, '' FROM projections WHERE checkpoint < 28";
        rows(&database(&directory), query).await
    };
    let start = std::time::Instant::now();
    while !builds().await.is_empty() {
        assert!(start.elapsed() < DEADLINE, "{:?}", builds().await);
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}
