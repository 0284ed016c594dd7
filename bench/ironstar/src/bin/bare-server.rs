//! A minimal web server, with which ironstar's server is compared. It parses the same
//! commands, returns answers of the same kind, and sends frames of the same size. But it
//! makes no decisions and stores no data. A body that is posted to `/publish` goes unchanged
//! to all subscribers of `/events`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// About the size of ironstar's frame for a change of one todo.
const FRAME_BYTES: usize = 1_700;

#[derive(Clone)]
struct Shared {
    position: Arc<AtomicU64>,
    frames: broadcast::Sender<Bytes>,
    published: watch::Sender<Bytes>,
}

#[derive(Deserialize)]
struct Command {
    id: Option<Uuid>,
    #[serde(rename = "type")]
    kind: Kind,
    text: Option<String>,
}

#[derive(Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Create,
    Complete,
    Reopen,
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    id: Uuid,
    sequence: u64,
    position: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready at http://{}", listener.local_addr()?);
    let (frames, _) = broadcast::channel(1_024);
    let router = Router::new()
        .route("/api/commands/todo", post(command))
        .route("/api/sse/todos", get(frames_of))
        .route("/publish", post(publish))
        .route("/events", get(events))
        .with_state(Shared {
            position: Arc::default(),
            frames,
            published: watch::Sender::default(),
        });
    // A frame must not wait for the acknowledgement of the frame before it.
    let listener = listener.tap_io(|stream| {
        // This fails for a connection that has already ended.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

async fn command(State(shared): State<Shared>, Json(command): Json<Command>) -> Json<Answer> {
    let position = shared.position.fetch_add(1, Ordering::Relaxed) + 1;
    if shared.frames.receiver_count() > 0 {
        // The last subscriber may have gone away.
        let _ = shared.frames.send(frame(position));
    }
    Json(Answer {
        status: "ok",
        id: command.id.unwrap_or_else(Uuid::now_v7),
        sequence: u64::from(command.kind != Kind::Create || command.text.is_none()),
        position,
    })
}

async fn frames_of(State(shared): State<Shared>) -> Response {
    let frames = stream::unfold(shared.frames.subscribe(), |mut frames| async {
        let frame = frames.recv().await.ok()?;
        Some((Ok::<_, Infallible>(frame), frames))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(frames.boxed())).into_response()
}

/// Sends a body to every subscriber. The answer is empty.
async fn publish(State(shared): State<Shared>, body: Bytes) {
    shared.published.send_replace(body);
}

/// Sends the last published body, and then each new one. A subscriber that is too slow gets
/// only the newest.
async fn events(State(shared): State<Shared>) -> Response {
    let mut published = shared.published.subscribe();
    published.mark_changed();
    let frames = stream::unfold(published, |mut published| async {
        published.changed().await.ok()?;
        let frame = published.borrow_and_update().clone();
        Some((Ok::<_, Infallible>(frame), published))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(frames)).into_response()
}

fn frame(position: u64) -> Bytes {
    let data = "x".repeat(FRAME_BYTES);
    format!("event: datastar-patch-elements\ndata: elements {data}\nid: {position}\n\n").into()
}
