//! News about one visitor, which reach all pages of that visitor and no other page: the theme, a
//! refusal, and a sign-in or sign-out.
//!
//! News go to `events/session/{session}/{topic}` on the bus. `{session}` is derived from the
//! cookie of the visitor's browser, and does not reveal it. Each node has one subscription for
//! all sessions, and passes news on to its open streams. Like all messages on the bus, news may
//! be lost. Then a page shows them only when its stream is opened again. On the node where they
//! arise, no news are lost.
//!
//! A visitor without an open stream uses no memory here.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use ironstar_ports::{BusMessage, EventBus, Key, KeyExpr};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::page::notice;
use crate::page::theme;
use crate::session::{Session, SessionError, SessionId, Theme};
use crate::stream::guard::until;
use crate::stream::latest::{Side, news};
use crate::stream::shared::{Life, Shared};
use crate::stream::sse::{self, SignOfLife};

/// The open streams of all visitors on this node, and the news for them.
#[derive(Clone, Debug)]
pub struct PrivateNews {
    bus: Arc<dyn EventBus>,
    /// The name of this node, which marks its own messages.
    node: String,
    shutdown: CancellationToken,
    rooms: Shared<String, Room>,
    /// The sessions whose newest command this node has refused. Their pages may be open on
    /// other nodes.
    refused: Arc<Mutex<LruCache<SessionId, ()>>>,
}

/// The number of sessions whose refusal is remembered.
const REFUSED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// The streams of one visitor.
#[derive(Debug)]
struct Room {
    theme: watch::Sender<Bytes>,
    notice: watch::Sender<Bytes>,
    ended: CancellationToken,
    _life: Life,
}

/// The news that one stream gets about its visitor.
pub(crate) struct Heard {
    /// The frames that go out beside the view.
    pub(crate) sides: Vec<Side>,
    over: CancellationToken,
    room: Arc<Room>,
}

impl Heard {
    /// Waits until the stream has to end, because the visitor has signed in or out.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let (over, room) = (self.over.clone(), Arc::clone(&self.room));
        async move {
            over.cancelled().await;
            // The waiting stream keeps its room open, so that the end can reach it.
            drop(room);
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug, Eq, PartialEq)]
enum News {
    Theme(Theme),
    /// The reason for a refusal; `None` removes the notice.
    Notice(Option<String>),
    /// The session has ended, and another may have taken its place.
    Ended,
}

impl PrivateNews {
    pub(crate) fn new(bus: Arc<dyn EventBus>, node: String, shutdown: CancellationToken) -> Self {
        Self {
            bus,
            node,
            shutdown,
            rooms: Shared::default(),
            refused: Arc::new(Mutex::new(LruCache::new(REFUSED))),
        }
    }

    /// Passes on the news of other nodes, as long as there is a bus.
    pub(crate) async fn listen(self) {
        let mut messages = match self.bus.subscribe(&KeyExpr::all_sessions()).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "pages do not get news from other nodes"
                );
                return;
            }
        };
        while let Some(message) = messages.next().await {
            if let Some((session, news)) = self.read(&message) {
                self.hand_on(session, &news);
            }
        }
    }

    /// The news for a stream of a visitor with a session: the current theme, then all that is
    /// new. If the session ends while the stream is opened, the stream ends at once.
    pub(crate) async fn hear(&self, session: &Session) -> Result<Option<Heard>, SessionError> {
        let Some(open) = session.open().await? else {
            return Ok(None);
        };
        // Subscribing comes before reading, so that no change in between is missed.
        let (room, _) = self.rooms.get_or_make(&open.id.key(), Room::new);
        let themes = news(room.theme.subscribe(), Arc::clone(&room));
        // A refusal from before the page was loaded does not concern it.
        let notices = news(room.notice.subscribe(), Arc::clone(&room));
        // Each stream has a token of its own, so that a stream which opens too late ends no
        // other.
        let over = room.ended.child_token();
        let now = session.now(open.id).await?;
        if now.is_none() {
            over.cancel();
        }
        // A page that was without a stream may still show an earlier theme.
        let theme = now.map(|data| theme_frame(data.theme));
        let themes = stream::iter(theme).chain(themes).boxed();
        Ok(Some(Heard {
            sides: vec![themes, notices],
            over,
            room,
        }))
    }

    /// The stream that keeps a page of this visitor up to date: the frames of the page, and
    /// beside them its sides and the news about the visitor. It ends with the visitor's session,
    /// and when the server stops.
    ///
    /// # Errors
    ///
    /// If the session cannot be read.
    pub async fn stream(
        &self,
        session: &Session,
        frames: BoxStream<'static, Bytes>,
        sides: Vec<Side>,
    ) -> Result<Response, SessionError> {
        let (frames, sides) = self.join(session, frames, sides).await?;
        let shutdown = self.shutdown.clone();
        Ok(sse::respond(frames, sides, SignOfLife::Event, shutdown))
    }

    /// The frames and sides of a page, with the news about the visitor among the sides. All of
    /// them end with the visitor's session.
    async fn join(
        &self,
        session: &Session,
        frames: BoxStream<'static, Bytes>,
        sides: Vec<Side>,
    ) -> Result<(BoxStream<'static, Bytes>, Vec<Side>), SessionError> {
        let Some(mut heard) = self.hear(session).await? else {
            return Ok((frames, sides));
        };
        let own = std::mem::take(&mut heard.sides);
        let until_ended = |side: Side| side.take_until(heard.ended()).boxed();
        let sides = sides.into_iter().chain(own).map(until_ended).collect();
        Ok((until(frames, heard.ended()), sides))
    }

    /// Tells all pages of a session that the theme has changed.
    pub(crate) async fn has_theme(&self, session: SessionId, theme: Theme) {
        self.tell(session, News::Theme(theme)).await;
    }

    /// Tells all pages of a session why a command was refused.
    pub async fn was_refused(&self, session: SessionId, why: &str) {
        self.refused.lock().put(session, ());
        self.tell(session, News::Notice(Some(why.to_owned()))).await;
    }

    /// Removes an earlier refusal from all pages of a session, after a successful command.
    pub async fn was_carried_out(&self, session: SessionId) {
        let was_refused = self.refused.lock().pop(&session).is_some();
        let room = self.rooms.get(&session.key());
        let has_notice = |room: Arc<Room>| {
            let notice = room.notice.borrow();
            !notice.is_empty() && *notice != carried_out()
        };
        if was_refused || room.is_some_and(has_notice) {
            self.tell(session, News::Notice(None)).await;
        }
    }

    /// Tells all pages of a session that it has ended.
    pub(crate) async fn has_ended(&self, session: SessionId) {
        self.tell(session, News::Ended).await;
    }

    async fn tell(&self, session: SessionId, news: News) {
        let session = session.key();
        self.hand_on(&session, &news);
        let key = Key::of_session(&session, news.topic());
        let payload = format!("{} {}", self.node, news.content());
        if let Err(error) = self.bus.publish(&key, payload.as_bytes()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "news about a visitor were not sent to other nodes"
            );
        }
    }

    /// Parses a message of another node. Invalid messages and this node's own are ignored.
    fn read<'a>(&self, message: &'a BusMessage) -> Option<(&'a str, News)> {
        let (session, topic) = Key::session_in(&message.key)?;
        let text = std::str::from_utf8(&message.payload).ok()?;
        let (node, content) = text.split_once(' ')?;
        let news = News::read(topic, content).filter(|_| node != self.node)?;
        Some((session, news))
    }

    fn hand_on(&self, session: &str, news: &News) {
        let Some(room) = self.rooms.get(session) else {
            return;
        };
        match news {
            News::Theme(theme) => {
                room.theme.send_replace(theme_frame(*theme));
            }
            News::Notice(Some(why)) => {
                room.notice
                    .send_replace(notice::refused_elsewhere(why).into());
            }
            News::Notice(None) => {
                room.notice.send_replace(carried_out());
            }
            News::Ended => room.ended.cancel(),
        }
    }
}

impl Room {
    fn new(life: Life) -> Arc<Self> {
        Arc::new(Self {
            theme: watch::Sender::default(),
            notice: watch::Sender::default(),
            ended: CancellationToken::new(),
            _life: life,
        })
    }
}

impl News {
    fn topic(&self) -> &'static str {
        match self {
            Self::Theme(_) => "theme",
            Self::Notice(_) => "notice",
            Self::Ended => "ended",
        }
    }

    fn content(&self) -> &str {
        match self {
            Self::Theme(theme) => theme.name(),
            Self::Notice(why) => why.as_deref().unwrap_or_default(),
            Self::Ended => "",
        }
    }

    fn read(topic: &str, content: &str) -> Option<Self> {
        match topic {
            "theme" => Theme::parse(content).map(Self::Theme),
            "notice" => {
                let why = Some(content.to_owned());
                Some(Self::Notice(why.filter(|why| !why.is_empty())))
            }
            "ended" => Some(Self::Ended),
            _ => None,
        }
    }
}

fn theme_frame(theme: Theme) -> Bytes {
    sse::datastar_frame(theme::patch(theme), None).into()
}

/// The frame that removes a notice. It changes nothing on a page without a notice.
fn carried_out() -> Bytes {
    notice::carried_out_elsewhere().into()
}

#[cfg(test)]
mod tests;
