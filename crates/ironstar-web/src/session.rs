//! Sessions, by which the server recognises returning visitors.
//!
//! A browser holds 192 random bits in a cookie, and the store holds a hash of them. So a reader
//! of the store cannot act as a visitor. A session begins when there is something to remember,
//! never because a visitor only reads. If its cookie never comes back, it expires after an
//! hour. Otherwise it expires 30 days after its last use.
//!
//! A cookie without a valid session, be it expired, forged or damaged, counts as no cookie: it
//! is not an error, and its bits never become a session. A visitor who signs in or out gets new
//! bits, and the old ones become invalid.
//!
//! Sessions and sign-ins expire by the clock's steady time. A wrong clock does not move it, and
//! it stands still while no server runs. So nothing expires because the machine shows a wrong
//! time.

mod cookie;
mod data;
pub mod drawn_for;
mod error;
pub mod origin;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use ironstar_app::Caller;
use ironstar_app::caller::Links;
use ironstar_ports::{
    Clock, IdSource, Payload, SessionHash, SessionStore, StoreError, StoredSession,
};
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::Mutex as AsyncMutex;

pub use cookie::SessionId;
pub use error::SessionError;

pub(crate) use cookie::Cookies;
pub(crate) use data::{SessionData, SignedIn, Theme};

use crate::edge::client::Client;
use crate::edge::problem::Problem;
use crate::edge::rate::NewSessionRate;

/// The time after which a session expires, counted from its last use.
const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The time after which a session expires if its cookie never comes back.
const TRIAL: Duration = Duration::from_secs(60 * 60);

/// The part of [`AGE`] that must have passed before a session is prolonged. So its row is
/// written at most once a day, however often the session is used.
const STEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause between two removals of expired sessions.
const SWEEP: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(crate) struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    links: Links,
    cookies: Cookies,
    rate: NewSessionRate,
}

/// The session of a request. The request may have none, and may begin one.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sessions: Arc<Sessions>,
    client: Client,
    /// The id from the request's cookie.
    brought: Option<SessionId>,
    state: AsyncMutex<Known>,
    /// The cookie that the answer sets.
    answer: Mutex<Option<HeaderValue>>,
}

#[derive(Debug)]
enum Known {
    /// The store has not been asked yet.
    NotYet,
    None,
    Some(Open),
}

#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: SessionId,
    pub(crate) data: SessionData,
    /// The time until it expires: [`TRIAL`] until its cookie comes back, then [`AGE`].
    age: Duration,
}

impl Sessions {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        links: Links,
        cookies: Cookies,
        rate: NewSessionRate,
    ) -> Self {
        Self {
            store,
            clock,
            ids,
            links,
            cookies,
            rate,
        }
    }

    /// Removes expired sessions from time to time, without end.
    pub(crate) async fn keep_swept(self: Arc<Self>) {
        let mut turn = tokio::time::interval(SWEEP);
        loop {
            turn.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "expired sessions were not removed; trying again later"
                );
            }
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        while self.store.sweep(self.clock.steady()).await? > 0 {}
        Ok(())
    }

    /// The session of a request with these headers.
    pub(crate) fn session(self: &Arc<Self>, headers: &HeaderMap, client: Client) -> Session {
        Session(Arc::new(Inner {
            sessions: Arc::clone(self),
            client,
            brought: self.cookies.read(headers),
            state: AsyncMutex::new(Known::NotYet),
            answer: Mutex::default(),
        }))
    }

    async fn load(&self, id: SessionId) -> Result<Option<(Open, OffsetDateTime)>, SessionError> {
        let stored = self.store.load(&id.hash(), self.clock.steady()).await?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let data = serde_json::from_str(stored.data.as_str()).map_err(SessionError::Damaged)?;
        let open = Open { id, data, age: AGE };
        Ok(Some((open, stored.expires_at)))
    }

    fn stored(&self, open: &Open) -> Result<StoredSession, SessionError> {
        Ok(StoredSession {
            id: open.id.hash(),
            data: Payload::of(&open.data)?,
            expires_at: self.clock.steady() + open.age,
        })
    }

    /// A new session, which is not stored yet.
    fn open(&self, data: SessionData, age: Duration) -> Open {
        let id = SessionId::new(self.ids.next_secret());
        Open { id, data, age }
    }

    /// Replaces a session by another. Returns false if the old one does not exist any more.
    async fn replace(&self, old: SessionId, new: &Open) -> Result<bool, SessionError> {
        let now = self.clock.steady();
        Ok(self
            .store
            .replace(&old.hash(), self.stored(new)?, now)
            .await?)
    }

    /// Stores data for a short time. A request that knows its name may withdraw it, once.
    pub(crate) async fn deposit(
        &self,
        name: SessionHash,
        data: Payload,
        age: Duration,
    ) -> Result<(), StoreError> {
        let expires_at = self.clock.steady() + age;
        let stored = StoredSession {
            id: name,
            data,
            expires_at,
        };
        self.store.create(stored).await
    }

    /// Removes and returns the data under a name. Only the first request gets it.
    pub(crate) async fn withdraw(&self, name: &SessionHash) -> Result<Option<Payload>, StoreError> {
        let now = self.clock.steady();
        // A request for an unknown name only reads, so it does not delay writers.
        if self.store.load(name, now).await?.is_none() {
            return Ok(None);
        }
        let taken = self.store.take(name, now).await?;
        Ok(taken.map(|stored| stored.data))
    }
}

impl Session {
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The id of the session; `None` if the visitor has none.
    ///
    /// # Errors
    ///
    /// If the store of sessions cannot be read.
    pub async fn id(&self) -> Result<Option<SessionId>, SessionError> {
        Ok(self.open().await?.map(|open| open.id))
    }

    pub(crate) async fn open(&self) -> Result<Option<Open>, SessionError> {
        let mut state = self.0.state.lock().await;
        self.look(&mut state).await?;
        Ok(state.open().cloned())
    }

    /// Returns true if the store still has a session.
    pub(crate) async fn is_still(&self, id: SessionId) -> Result<bool, SessionError> {
        Ok(self.0.sessions.load(id).await?.is_some())
    }

    /// The session. If there is none, a new one begins.
    pub(crate) async fn begin(&self) -> Result<Open, SessionError> {
        let mut state = self.0.state.lock().await;
        self.look(&mut state).await?;
        if let Some(open) = state.open() {
            return Ok(open.clone());
        }
        let sessions = &self.0.sessions;
        sessions
            .rate
            .count(self.0.client)
            .map_err(SessionError::TooMany)?;
        let guest = sessions.ids.next_id().into();
        let open = sessions.open(SessionData::of(guest), TRIAL);
        sessions.store.create(sessions.stored(&open)?).await?;
        self.keep(&mut state, open.clone());
        Ok(open)
    }

    /// Changes the data of the session. Returns `None` if the session has ended in the meantime.
    pub(crate) async fn change(
        &self,
        change: impl FnOnce(&mut SessionData),
    ) -> Result<Option<Open>, SessionError> {
        let mut state = self.0.state.lock().await;
        self.look(&mut state).await?;
        let Known::Some(open) = &mut *state else {
            return Ok(None);
        };
        change(&mut open.data);
        let sessions = &self.0.sessions;
        let open = open.clone();
        if sessions.replace(open.id, &open).await? {
            return Ok(Some(open));
        }
        *state = Known::None;
        Ok(None)
    }

    /// Replaces this session by another: the browser gets new bits, and the old ones become
    /// invalid. Returns `None` if the old session has ended in the meantime. So of several
    /// concurrent requests, only one replaces it.
    pub(crate) async fn replace(
        &self,
        old: SessionId,
        data: SessionData,
    ) -> Result<Option<Open>, SessionError> {
        let mut state = self.0.state.lock().await;
        let sessions = &self.0.sessions;
        let open = sessions.open(data, AGE);
        if !sessions.replace(old, &open).await? {
            *state = Known::None;
            return Ok(None);
        }
        self.keep(&mut state, open.clone());
        Ok(Some(open))
    }

    /// The data of the session in the store at this moment, not as this request first read it.
    pub(crate) async fn now(&self, id: SessionId) -> Result<Option<SessionData>, SessionError> {
        let found = self.0.sessions.load(id).await?;
        Ok(found.map(|(open, _)| open.data))
    }

    /// The caller, as far as the session identifies it.
    pub(crate) async fn caller(&self) -> Result<Caller, SessionError> {
        Ok(match self.open().await? {
            Some(open) => open.data.caller(),
            None => Caller::anonymous().from_place(self.place()),
        })
    }

    pub(crate) fn next_guest(&self) -> ironstar_domain::GuestId {
        self.0.sessions.ids.next_id().into()
    }

    /// The identifier of a visitor without a session.
    fn place(&self) -> String {
        let address = self.0.client.to_string();
        self.0.sessions.links.place(&address)
    }

    async fn look(&self, state: &mut Known) -> Result<(), SessionError> {
        if !matches!(state, Known::NotYet) {
            return Ok(());
        }
        let found = match self.0.brought {
            Some(id) => self.0.sessions.load(id).await?,
            None => None,
        };
        let Some((open, expires_at)) = found else {
            *state = Known::None;
            return Ok(());
        };
        let sessions = &self.0.sessions;
        let now = sessions.clock.steady();
        if expires_at - now < AGE - STEP {
            // Only the time of expiry is written, because a concurrent request may be changing
            // the data. A session that has just ended stays ended.
            let id = open.id.hash();
            if !sessions.store.prolong(&id, now + AGE, now).await? {
                *state = Known::None;
                return Ok(());
            }
            self.keep(state, open);
        } else {
            *state = Known::Some(open);
        }
        Ok(())
    }

    /// Sends the browser the cookie of a session that has begun or was prolonged.
    pub(crate) fn send_cookie(&self, response: &mut Response) {
        let mut answer = self.0.answer.lock();
        if let Some(cookie) = answer.take() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }

    /// Makes a session the current one, and its cookie part of the answer.
    fn keep(&self, state: &mut Known, open: Open) {
        let cookie = self.0.sessions.cookies.write(open.id, AGE);
        *self.0.answer.lock() = Some(cookie);
        *state = Known::Some(open);
    }
}

impl Known {
    fn open(&self) -> Option<&Open> {
        match self {
            Self::Some(open) => Some(open),
            Self::NotYet | Self::None => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let session = parts.extensions.get::<Self>();
        session.cloned().ok_or_else(|| {
            tracing::error!(
                "a request has no session: it did not come through the router of the site"
            );
            Problem::no_such_page()
        })
    }
}

#[cfg(test)]
mod tests;
