//! Sessions: who comes back.
//!
//! A browser holds 192 random bits in a cookie, and the store a hash of them, so
//! that whoever reads the store is nobody. A session begins when there is
//! something to remember, and never because somebody only looks. One that was never
//! brought back is forgotten after an hour; any other, 30 days after it was brought
//! back last.
//!
//! A cookie that is no session of ours, be it expired, forged or torn, is nobody's:
//! it is not an error, and it is never taken over. Whoever signs in or out gets new
//! bits, and the old ones are worth nothing from then on.
//!
//! Whatever expires here does so by the clock's steady time, which a wrong clock does not
//! move and which stands still while no server runs. So no session and no sign-in is
//! forgotten because the machine has shown a wrong time.

mod cookie;
mod data;
pub(crate) mod drawn_for;
pub(crate) mod origin;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use ironstar_app::Caller;
use ironstar_app::caller::Links;
use ironstar_ports::{
    Clock, IdSource, Payload, PayloadError, SessionHash, SessionStore, StoreError, StoredSession,
};
use time::OffsetDateTime;
use tokio::sync::Mutex as AsyncMutex;

pub(crate) use cookie::{Cookies, SessionId};
pub(crate) use data::{SessionData, SignedIn, Theme};

use crate::edge::client::Client;
use crate::edge::problem::Problem;
use crate::edge::rate::NewSessionRate;

/// How long a session is remembered that was brought back.
const AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// And one that never was.
const TRIAL: Duration = Duration::from_secs(60 * 60);

/// How much of its time has to have gone before a session is given more: so its
/// row is written once a day at most, however often it is brought back.
const STEP: Duration = Duration::from_secs(24 * 60 * 60);

/// How often sessions that have expired are looked for.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// Keeps sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    links: Links,
    cookies: Cookies,
    rate: NewSessionRate,
}

/// The session of a request, if it has one, or comes to have one.
#[derive(Clone, Debug)]
pub(crate) struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sessions: Arc<Sessions>,
    client: Client,
    /// What the browser has come with.
    brought: Option<SessionId>,
    state: AsyncMutex<Known>,
    /// What the browser is told to keep.
    answer: Mutex<Option<HeaderValue>>,
}

#[derive(Debug)]
enum Known {
    /// Nobody has looked yet.
    NotYet,
    /// There is none.
    None,
    Some(Open),
}

/// A session that is there.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: SessionId,
    pub(crate) data: SessionData,
    /// For how long it is remembered: not for long, as long as nobody has brought it
    /// back.
    age: Duration,
}

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored of it makes no sense.
    #[error("a session is damaged")]
    Damaged(#[source] serde_json::Error),
    /// What is to be stored of it has no stored form.
    #[error("a session cannot be stored")]
    Unwritable(#[from] PayloadError),
    /// One client asks for too many.
    #[error("too many sessions have begun at your address; try again in a while")]
    TooMany(Duration),
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match &error {
            SessionError::Store(error) => Self::from_store(error),
            SessionError::Damaged(_) | SessionError::Unwritable(_) => Self::unavailable(&error),
            SessionError::TooMany(wait) => Self {
                retry_after: Some(*wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-sessions",
                    error.to_string(),
                )
            },
        }
    }
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

    /// Removes sessions that have expired, now and again, for ever.
    pub(crate) async fn keep_swept(self: Arc<Self>) {
        let mut turn = tokio::time::interval(SWEEP);
        loop {
            turn.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "sessions that have expired were not removed; trying again later"
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

    /// One that is not stored yet.
    fn open(&self, data: SessionData, age: Duration) -> Open {
        let id = SessionId::new(self.ids.next_secret());
        Open { id, data, age }
    }

    /// Has a session take the place of another, if that is there.
    async fn replace(&self, old: SessionId, new: &Open) -> Result<bool, SessionError> {
        let now = self.clock.steady();
        Ok(self
            .store
            .replace(&old.hash(), self.stored(new)?, now)
            .await?)
    }

    /// Keeps something that is asked for once, by whoever knows its name, and soon.
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

    /// What was kept under a name: for the first who asks, and nobody after.
    pub(crate) async fn withdraw(&self, name: &SessionHash) -> Result<Option<Payload>, StoreError> {
        let now = self.clock.steady();
        // Whoever asks for what never was there does not keep those waiting who write.
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

    /// The session, if there is one.
    pub(crate) async fn open(&self) -> Result<Option<Open>, SessionError> {
        let mut state = self.0.state.lock().await;
        self.look(&mut state).await?;
        Ok(state.open().cloned())
    }

    /// The session; it begins, if there is none.
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

    /// Changes what is remembered. Nothing, if the session has ended meanwhile.
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

    /// Has another session take the place of this one: new bits for the browser,
    /// and the old ones are worth nothing any more. Nothing, if the old one has ended
    /// meanwhile: of many who would replace it, one does.
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

    /// What is remembered at this moment, whatever was known of it before.
    pub(crate) async fn now(&self, id: SessionId) -> Result<Option<SessionData>, SessionError> {
        let found = self.0.sessions.load(id).await?;
        Ok(found.map(|(open, _)| open.data))
    }

    /// Who asks, as far as the session tells.
    pub(crate) async fn caller(&self) -> Result<Caller, SessionError> {
        Ok(match self.open().await? {
            Some(open) => open.data.caller(),
            None => Caller::anonymous().from_place(self.place()),
        })
    }

    /// An id for a guest who is new.
    pub(crate) fn next_guest(&self) -> ironstar_domain::GuestId {
        self.0.sessions.ids.next_id().into()
    }

    /// What a visitor without a session is known by.
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
            // What is remembered may be changing at this moment. And one that has just
            // ended stays so.
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

    /// Gives the browser the cookie of a session that has begun, or goes on for longer.
    pub(crate) fn send_cookie(&self, response: &mut Response) {
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cookie) = answer.take() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }

    /// Has the browser keep a session.
    fn keep(&self, state: &mut Known, open: Open) {
        let cookie = self.0.sessions.cookies.write(open.id, AGE);
        *self.0.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(cookie);
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
