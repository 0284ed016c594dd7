//! What concerns one visitor alone, and reaches all their pages and nobody else's:
//! how pages look, what was refused, and that they have signed in or out.
//!
//! It goes to `events/session/{session}/{topic}` on the bus, where `{session}` is
//! made from what the visitor's browser holds, and does not lead back to it. Each
//! node subscribes once for all, and hands on what comes to the streams that are
//! open here. As everything on the bus it may be lost, and then costs a
//! visitor the latest news; a page that is loaded anew is right again. On the node
//! where it happens, nothing is lost.
//!
//! A visitor who has no stream open leaves nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use futures::StreamExt;
use ironstar_ports::{BusMessage, EventBus, Key, KeyExpr};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::latest::{Side, news, side};
use crate::session::{Session, SessionError, SessionId, Theme};
use crate::{notice, sse, theme};

/// The pages that visitors have open here.
#[derive(Clone, Debug)]
pub(crate) struct PrivateNews {
    bus: Arc<dyn EventBus>,
    /// Tells this node's messages from others'.
    node: String,
    rooms: Arc<Mutex<HashMap<String, Weak<Room>>>>,
}

/// The streams of one visitor.
#[derive(Debug)]
struct Room {
    session: String,
    rooms: Arc<Mutex<HashMap<String, Weak<Room>>>>,
    theme: watch::Sender<Bytes>,
    notice: watch::Sender<Bytes>,
    ended: CancellationToken,
}

/// What one stream hears of its visitor.
pub(crate) struct Heard {
    /// What goes out beside the view.
    pub(crate) sides: Vec<Side>,
    over: CancellationToken,
}

impl Heard {
    /// When the stream has to end, because who the visitor is has changed.
    pub(crate) fn ended(&self) -> WaitForCancellationFutureOwned {
        self.over.clone().cancelled_owned()
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
            rooms: Arc::default(),
        }
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

    /// What a stream of a visitor with a session hears from now on. The session may end
    /// while the stream is opened: then that is heard at once.
    pub(crate) async fn hear(&self, session: &Session) -> Result<Option<Heard>, SessionError> {
        let Some(open) = session.open().await? else {
            return Ok(None);
        };
        // First listen, then look: what happens in between is heard.
        let heard = self.listen_to(open.id);
        if !session.is_there(open.id).await? {
            heard.over.cancel();
        }
        Ok(Some(heard))
    }

    fn listen_to(&self, session: SessionId) -> Heard {
        let room = self.enter(session.key());
        let theme = side(room.theme.subscribe(), Arc::clone(&room));
        // What was refused before the page was loaded is nothing to it.
        let notice = news(room.notice.subscribe(), Arc::clone(&room));
        Heard {
            // Of its own, so that one that comes too late ends nobody else's.
            over: room.ended.child_token(),
            sides: vec![theme, notice],
        }
    }

    /// Pages look different from now on.
    pub(crate) async fn has_theme(&self, session: SessionId, theme: Theme) {
        self.tell(session, News::Theme(theme)).await;
    }

    /// Something was refused.
    pub(crate) async fn was_refused(&self, session: SessionId, why: &str) {
        self.tell(session, News::Notice(Some(why.to_owned()))).await;
    }

    /// Something was carried out: what was refused before is no news any more.
    pub(crate) async fn was_carried_out(&self, session: SessionId) {
        let room = lock(&self.rooms)
            .get(&session.key())
            .and_then(Weak::upgrade);
        let has_notice = |room: Arc<Room>| {
            let notice = room.notice.borrow();
            !notice.is_empty() && *notice != carried_out()
        };
        if room.is_some_and(has_notice) {
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
        let room = lock(&self.rooms).get(session).and_then(Weak::upgrade);
        let Some(room) = room else {
            return;
        };
        match news {
            News::Theme(theme) => {
                let frame = sse::datastar_frame(theme::patch(*theme), None);
                room.theme.send_replace(frame.into());
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

    fn enter(&self, session: String) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get(&session).and_then(Weak::upgrade) {
            return room;
        }
        let room = Arc::new(Room {
            session: session.clone(),
            rooms: Arc::clone(&self.rooms),
            theme: watch::Sender::default(),
            notice: watch::Sender::new(Bytes::new()),
            ended: CancellationToken::new(),
        });
        rooms.insert(session, Arc::downgrade(&room));
        room
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut rooms = lock(&self.rooms);
        // Somebody may have come again.
        if rooms
            .get(&self.session)
            .is_some_and(|room| room.strong_count() == 0)
        {
            rooms.remove(&self.session);
        }
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

/// What takes away a notice; nothing, where there has been none.
fn carried_out() -> Bytes {
    notice::carried_out().into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between the changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
