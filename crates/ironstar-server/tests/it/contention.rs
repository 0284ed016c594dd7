//! Many concurrent changes of the same remark: none is refused.

use std::sync::Arc;

use futures::future::join_all;
use ironstar_adapters::memory::MemoryEventBus;
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::{CommandContext, CommandHandler};
use ironstar_fixtures::note::OPEN;
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::process::{Server, database, rows};

const ID: Uuid = Uuid::from_u128(7);

/// Returns a handler with its own connections, like that of a separate process.
async fn handler(directory: &TempDir) -> CommandHandler {
    let url = format!("sqlite:{}", database(directory).display());
    let database = SqliteDatabase::open(&url.parse().expect("an address")).await;
    let store = Arc::new(SqliteEventStore::new(
        database.expect("opened"),
        Arc::new(SystemClock),
        DEFAULT_COMMAND_RETENTION,
    ));
    let bus = Arc::new(MemoryEventBus::new());
    CommandHandler::new(store.clone(), store, bus, Arc::new(SystemIdSource))
}

async fn rewrite_at_once(handlers: &[CommandHandler], many: usize) {
    let create = RemarkCommand::Create {
        note: OPEN,
        text: "Milk".to_owned(),
    };
    let context = CommandContext::default();
    let created = handlers[0].execute::<RemarkState>(&ID, &create, &context);
    created.await.expect("created");
    let changes = (0..many).map(|number| {
        let handler = handlers[number % handlers.len()].clone();
        tokio::spawn(async move {
            let text = format!("Milk {number}");
            let rewrite = RemarkCommand::Rewrite { text };
            let context = CommandContext::default();
            let rewritten = handler.execute::<RemarkState>(&ID, &rewrite, &context);
            rewritten.await
        })
    });
    for changed in join_all(changes).await {
        changed.expect("no panic").expect("rewritten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handler_refuses_none_of_many_changes_at_once() {
    for many in [40, 400] {
        let directory = TempDir::new().expect("a directory");
        rewrite_at_once(&[handler(&directory).await], many).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handlers_on_one_file_refuse_none_of_many_changes_at_once() {
    let directory = TempDir::new().expect("a directory");
    let handlers = [handler(&directory).await, handler(&directory).await];
    rewrite_at_once(&handlers, 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_refuses_none_of_many_changes_at_once() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let id = server.create("Milk").await;
    for many in [40, 200] {
        let changes = (0..many).map(|number| {
            let rewrite = json!({"type": "rewrite", "id": id, "text": format!("{many}/{number}")});
            let server = &server;
            async move { server.command(&rewrite).await }
        });
        for (status, answer) in join_all(changes).await {
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
    }
    let rewritten = rows(
        &database(&directory),
        "SELECT id, aggregate_type, sequence, event_type, aggregate_id FROM events
         WHERE event_type = 'rewritten'",
    )
    .await;
    assert_eq!(rewritten.len(), 240);
}
