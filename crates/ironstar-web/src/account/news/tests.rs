use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use futures::{FutureExt, StreamExt};
use governor::clock::MonotonicClock;
use ironstar_adapters::memory::{MemoryEventBus, MemorySessionStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::caller::Links;
use ironstar_ports::{EventBus, Key};
use tokio::time::timeout;

use super::{Heard, PrivateNews};
use crate::edge::client::Client;
use crate::edge::rate::NewSessionRate;
use crate::session::{Cookies, Session, SessionData, Sessions, Theme};
use crate::site::SiteName;
use tokio_util::sync::CancellationToken;

/// A node and the sessions of its visitors.
struct Node {
    news: PrivateNews,
    sessions: Arc<Sessions>,
}

impl Node {
    fn new(name: &str, bus: &Arc<MemoryEventBus>, store: &Arc<MemorySessionStore>) -> Self {
        let news = PrivateNews::new(bus.clone(), name.to_owned(), CancellationToken::new());
        tokio::spawn(news.clone().listen());
        let sessions = Sessions::new(
            store.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemIdSource),
            Links::new([0; 32]),
            Cookies::new(SiteName::default(), false),
            NewSessionRate::new(false, MonotonicClock),
        );
        Self {
            news,
            sessions: Arc::new(sessions),
        }
    }

    /// A request with this cookie.
    fn request(&self, cookie: Option<&HeaderValue>) -> Session {
        let mut headers = HeaderMap::new();
        headers.extend(cookie.map(|cookie| (header::COOKIE, cookie.clone())));
        self.sessions.session(&headers, Client::default())
    }
}

/// Begins the session of a new visitor, and returns its cookie.
async fn begin(node: &Node) -> HeaderValue {
    let open = node.request(None).begin().await.expect("begun");
    Cookies::new(SiteName::default(), false).write(open.id, Duration::from_secs(60))
}

/// The next frame of a stream, if one comes soon.
async fn next(heard: &mut Heard) -> Option<String> {
    let mut sides = futures::stream::select_all(heard.sides.iter_mut());
    let frame = timeout(Duration::from_millis(200), sides.next()).await;
    let frame = frame.ok()??;
    Some(String::from_utf8(frame.to_vec()).expect("text"))
}

/// Opens a stream with this cookie. Returns its news, and the frame with the first theme.
async fn hear(node: &Node, cookie: &HeaderValue) -> (Heard, String) {
    let heard = node.news.hear(&node.request(Some(cookie))).await;
    let mut heard = heard.expect("read").expect("a session");
    let look = next(&mut heard).await.expect("a theme");
    (heard, look)
}

#[tokio::test]
async fn news_reach_the_visitors_pages_on_another_node_and_no_other_page() {
    let (bus, store) = (Arc::new(MemoryEventBus::new()), Arc::default());
    let (here, there) = (
        Node::new("here", &bus, &store),
        Node::new("there", &bus, &store),
    );
    tokio::task::yield_now().await;
    let (mine, others) = (begin(&here).await, begin(&here).await);
    let (mut me, _) = hear(&there, &mine).await;
    let (mut another, _) = hear(&there, &others).await;
    let open = here.request(Some(&mine)).open().await.expect("read");
    let id = open.expect("a session").id;
    here.news.has_theme(id, Theme::Dark).await;
    let told = next(&mut me).await.expect("told");
    assert!(told.contains("data-theme=\"dark\""), "{told}");
    here.news.was_refused(id, "No.").await;
    assert!(next(&mut me).await.is_some_and(|told| told.contains("No.")));
    // The node that refuses and executes the commands has no stream.
    here.news.was_carried_out(id).await;
    let told = next(&mut me).await.expect("told");
    assert!(
        told.contains("id=\"notice\"") && !told.contains("No."),
        "{told}"
    );
    here.news.was_carried_out(id).await;
    assert_eq!(next(&mut me).await, None);
    // A node that shows the notice removes it, although it has refused nothing itself.
    here.news.was_refused(id, "No.").await;
    assert!(next(&mut me).await.is_some_and(|told| told.contains("No.")));
    there.news.was_carried_out(id).await;
    let told = next(&mut me).await.expect("told");
    assert!(!told.contains("No."), "{told}");
    there.news.was_carried_out(id).await;
    assert_eq!(next(&mut me).await, None);
    here.news.has_ended(id).await;
    timeout(Duration::from_secs(10), me.ended())
        .await
        .expect("the stream ends");
    assert_eq!(next(&mut another).await, None);
    assert!(another.ended().now_or_never().is_none());
}

#[tokio::test]
async fn invalid_message_is_ignored() {
    let (bus, store) = (Arc::new(MemoryEventBus::new()), Arc::default());
    let node = Node::new("here", &bus, &store);
    tokio::task::yield_now().await;
    let cookie = begin(&node).await;
    let session = node.request(Some(&cookie));
    let (mut heard, _) = hear(&node, &cookie).await;
    let id = session.open().await.expect("read").expect("a session").id;
    for (topic, payload) in [
        ("theme", &b"elsewhere pink"[..]),
        ("theme", b"dark"),
        ("theme", b"\xff dark"),
        ("theme", b"here dark"),
        ("made-up", b"elsewhere x"),
    ] {
        let key = Key::of_session(&id.key(), topic);
        bus.publish(&key, payload).await.expect("published");
    }
    assert_eq!(next(&mut heard).await, None);
}

#[tokio::test]
async fn stream_begins_with_the_stored_theme_despite_older_news() {
    let (bus, store) = (Arc::new(MemoryEventBus::new()), Arc::default());
    let node = Node::new("here", &bus, &store);
    let cookie = begin(&node).await;
    let session = node.request(Some(&cookie));
    let (mut before, look) = hear(&node, &cookie).await;
    assert!(look.contains("data-theme=\"auto\""), "{look}");
    let id = session.open().await.expect("read").expect("a session").id;
    node.news.has_theme(id, Theme::Dark).await;
    let told = next(&mut before).await.expect("told");
    assert!(told.contains("data-theme=\"dark\""), "{told}");
    // The theme was changed on another node, and this node missed the message.
    let changed = session.change(|data| data.theme = Theme::Light).await;
    assert!(changed.expect("changed").is_some());
    let (mut after, look) = hear(&node, &cookie).await;
    assert!(look.contains("data-theme=\"light\""), "{look}");
    assert_eq!(next(&mut after).await, None);
}

#[tokio::test]
async fn session_that_ends_while_a_stream_opens_ends_the_stream() {
    let (bus, store) = (Arc::new(MemoryEventBus::new()), Arc::default());
    let node = Node::new("here", &bus, &store);
    let cookie = begin(&node).await;
    let opening = node.request(Some(&cookie));
    let before = opening.open().await.expect("read").expect("a session");
    let leaving = node.request(Some(&cookie));
    let guest = leaving.next_guest();
    let replaced = leaving.replace(before.id, SessionData::of(guest)).await;
    assert!(replaced.expect("replaced").is_some());
    node.news.has_ended(before.id).await;
    let heard = node.news.hear(&opening).await.expect("read");
    let ended = heard.expect("the request has read it before").ended();
    assert!(ended.now_or_never().is_some());
}

#[tokio::test]
async fn visitor_without_an_open_stream_uses_no_memory() {
    let (bus, store) = (Arc::new(MemoryEventBus::new()), Arc::default());
    let node = Node::new("here", &bus, &store);
    let cookie = begin(&node).await;
    let session = node.request(Some(&cookie));
    let both = [
        node.news.hear(&session).await.expect("read"),
        node.news.hear(&session).await.expect("read"),
    ];
    let rooms = || node.news.rooms.len();
    assert_eq!(rooms(), 1);
    drop(both);
    assert_eq!(rooms(), 0);
}
