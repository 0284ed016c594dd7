//! What concerns one visitor alone, and reaches all their pages and nobody else's:
//! how pages look, what was refused, and that they have signed in or out.
//!
//! It goes to `events/session/{session}/{topic}` on the bus, where `{session}` is
//! made from what the visitor's browser holds, and does not lead back to it. Each
//! node subscribes once for all, and hands on what comes to the streams that are
//! open here. As everything on the bus it may be lost, and then costs a
//! visitor the latest news, until the page's stream is opened anew. On the node where
//! it happens, nothing is lost.
//!
//! A visitor who has no stream open leaves nothing here.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use ironstar_ports::{BusMessage, EventBus, Key, KeyExpr};
use lru::LruCache;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::page::notice;
use crate::page::theme;
use crate::session::{Session, SessionError, SessionId, Theme};
use crate::stream::guard::until;
use crate::stream::latest::{Side, news};
use crate::stream::shared::{Life, Shared};
use crate::stream::sse;

/// The pages that visitors have open here.
#[derive(Clone, Debug)]
pub(crate) struct PrivateNews {
    bus: Arc<dyn EventBus>,
    /// Tells this node's messages from others'.
    node: String,
    rooms: Shared<String, Room>,
    /// Whose newest command was refused here: their pages may be open elsewhere.
    refused: Arc<Mutex<LruCache<SessionId, ()>>>,
}

/// Of how many visitors that is remembered.
const REFUSED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// The streams of one visitor.
#[derive(Debug)]
struct Room {
    theme: watch::Sender<Bytes>,
    notice: watch::Sender<Bytes>,
    ended: CancellationToken,
    _life: Life,
}

/// What one stream hears of its visitor.
pub(crate) struct Heard {
    /// What goes out beside the view.
    pub(crate) sides: Vec<Side>,
    over: CancellationToken,
    room: Arc<Room>,
}

impl Heard {
    /// Waits until the stream has to end, because who the visitor is has changed.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let (over, room) = (self.over.clone(), Arc::clone(&self.room));
        async move {
            over.cancelled().await;
            // Who waits is in the room, where it is heard.
            drop(room);
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug, Eq, PartialEq)]
enum News {
    Theme(Theme),
    /// Why something was refused; nothing: it was not.
    Notice(Option<String>),
    /// The session has ended, and another may have taken its place.
    Ended,
}

impl PrivateNews {
    pub(crate) fn new(bus: Arc<dyn EventBus>, node: String) -> Self {
        Self {
            bus,
            node,
            rooms: Shared::default(),
            refused: Arc::new(Mutex::new(LruCache::new(REFUSED))),
        }
    }

    fn refused(&self) -> MutexGuard<'_, LruCache<SessionId, ()>> {
        // It is whole between any two calls.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to what other nodes tell, for as long as there is a bus.
    pub(crate) async fn listen(self) {
        let mut messages = match self.bus.subscribe(&KeyExpr::all_sessions()).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "visitors do not hear what they do on other nodes"
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

    /// What a stream of a visitor with a session hears: how pages look now, and all
    /// that is new. The session may end while the stream is opened: then that is heard
    /// at once.
    pub(crate) async fn hear(&self, session: &Session) -> Result<Option<Heard>, SessionError> {
        let Some(open) = session.open().await? else {
            return Ok(None);
        };
        // First listen, then look: what happens in between is heard.
        let (room, _) = self.rooms.get_or_make(&open.id.key(), Room::new);
        let themes = news(room.theme.subscribe(), Arc::clone(&room));
        // What was refused before the page was loaded is nothing to it.
        let notices = news(room.notice.subscribe(), Arc::clone(&room));
        // Of its own, so that one that comes too late ends nobody else's.
        let over = room.ended.child_token();
        let now = session.now(open.id).await?;
        if now.is_none() {
            over.cancel();
        }
        // A page that was away looks as it did then.
        let theme = now.map(|data| theme_frame(data.theme));
        let themes = stream::iter(theme).chain(themes).boxed();
        Ok(Some(Heard {
            sides: vec![themes, notices],
            over,
            room,
        }))
    }

    /// The frames of a page until its visitor's session ends, and beside them, for as
    /// long, what else there is and what concerns the visitor alone.
    pub(crate) async fn join(
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

    /// Pages look different from now on.
    pub(crate) async fn has_theme(&self, session: SessionId, theme: Theme) {
        self.tell(session, News::Theme(theme)).await;
    }

    /// Something was refused.
    pub(crate) async fn was_refused(&self, session: SessionId, why: &str) {
        self.refused().put(session, ());
        self.tell(session, News::Notice(Some(why.to_owned()))).await;
    }

    /// Something was carried out: what was refused before is no news any more.
    pub(crate) async fn was_carried_out(&self, session: SessionId) {
        let was_refused = self.refused().pop(&session).is_some();
        let room = self.rooms.get(&session.key());
        let has_notice = |room: Arc<Room>| {
            let notice = room.notice.borrow();
            !notice.is_empty() && *notice != carried_out()
        };
        if was_refused || room.is_some_and(has_notice) {
            self.tell(session, News::Notice(None)).await;
        }
    }

    /// The session has ended.
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
                "what concerns a visitor was not told to other nodes"
            );
        }
    }

    /// What another node tells.
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

/// What takes away a notice; nothing, where there has been none.
fn carried_out() -> Bytes {
    notice::carried_out_elsewhere().into()
}

#[cfg(test)]
mod tests;
