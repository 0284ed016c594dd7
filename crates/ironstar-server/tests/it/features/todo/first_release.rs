//! A database of the first release, which had one table, and todos without a list.

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use super::{command, start, todos};
use crate::projections::connect;

#[tokio::test]
async fn a_database_of_the_first_schema_opens_and_is_served() {
    let directory = TempDir::new().expect("a directory");
    let mut first = sqlx::migrate!("../../migrations/sqlite");
    first.migrations.to_mut().truncate(1);
    let mut connection = connect(&directory).await;
    first.run(&mut connection).await.expect("the first schema");
    let id = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    for (position, event_type, payload) in [
        (1, "created", r#"{"type":"created","text":"Buy milk"}"#),
        (2, "completed", r#"{"type":"completed"}"#),
    ] {
        sqlx::query(
            "INSERT INTO events VALUES (?1, 'Todo', ?2, ?1 - 1, ?3, 1, ?4, ?5,
                                        '2026-11-20T10:00:00.000Z')",
        )
        .bind(position)
        .bind(id)
        .bind(event_type)
        .bind(payload)
        .bind(format!(r#"{{"event_id":"{id}"}}"#))
        .execute(&mut connection)
        .await
        .expect("an event");
    }
    drop(connection);

    let server = start(&directory);
    let shown = todos(&server, "at_least=2").await;
    assert_eq!(shown["todos"][0]["text"], "Buy milk");
    assert_eq!(shown["todos"][0]["list"], "shared");
    assert_eq!(shown["counts"], json!({"active": 0, "completed": 1}));
    let reopen = json!({"type": "reopen", "id": id});
    let (status, answer) = command(&server, &reopen).await;
    assert_eq!((status, &answer["sequence"]), (StatusCode::OK, &json!(2)));
    let page = server.client.get(&server.url).send().await.expect("a page");
    assert!(page.text().await.expect("text").contains(">Buy milk<"));
    let mut events = server
        .stream("/api/events?after=0&key=events/List/shared/**")
        .await;
    for position in ["1", "2", "3"] {
        assert_eq!(events.next().await.id, position);
    }
}
