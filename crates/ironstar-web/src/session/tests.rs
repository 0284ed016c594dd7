use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode, header};
use governor::clock::MonotonicClock;
use ironstar_adapters::memory::MemorySessionStore;
use ironstar_adapters::system::SystemIdSource;
use ironstar_app::caller::Links;
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_ports::{Payload, SessionHash, SessionStore, StoreError, StoredSession};
use time::OffsetDateTime;

use super::{Cookies, Session, SessionData, SessionError, Sessions, Theme};
use crate::edge::client::Client;
use crate::edge::problem::Problem;
use crate::edge::rate::NewSessionRate;
use crate::site::SiteName;

/// An event that happens to a session as soon as it has been read.
#[derive(Clone, Copy, Debug, Default)]
enum Meanwhile {
    #[default]
    Nothing,
    Ends,
    TurnsDark,
}

/// A store in which a session may end or change as soon as it has been read.
#[derive(Debug, Default)]
struct MovingStore {
    inner: MemorySessionStore,
    meanwhile: Mutex<Meanwhile>,
}

#[async_trait]
impl SessionStore for MovingStore {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        self.inner.create(session).await
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let meanwhile =
            std::mem::take(&mut *self.meanwhile.lock().expect("the lock is not poisoned"));
        let loaded = self.inner.load(id, now).await?;
        match (meanwhile, &loaded) {
            (Meanwhile::Nothing, _) | (_, None) => {}
            (Meanwhile::Ends, Some(_)) => {
                self.inner.take(id, now).await?;
            }
            (Meanwhile::TurnsDark, Some(loaded)) => {
                let mut data: SessionData =
                    serde_json::from_str(loaded.data.as_str()).expect("a session");
                data.theme = Theme::Dark;
                let dark = StoredSession {
                    data: Payload::of(&data).expect("JSON"),
                    ..loaded.clone()
                };
                self.inner.replace(id, dark, now).await?;
            }
        }
        Ok(loaded)
    }

    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        self.inner.replace(old, new, now).await
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        self.inner.prolong(id, expires_at, now).await
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.inner.take(id, now).await
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        self.inner.sweep(now).await
    }
}

/// The next two requests of a visitor, after some time. Their session ends or changes as soon
/// as the first request has read it.
async fn moving(after: Duration, meanwhile: Meanwhile) -> (Session, Session) {
    let store = Arc::new(MovingStore::default());
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
    let sessions = Arc::new(Sessions::new(
        store.clone(),
        clock.clone(),
        Arc::new(SystemIdSource),
        Links::new([0; 32]),
        Cookies::new(SiteName::default(), false),
        NewSessionRate::new(false, MonotonicClock),
    ));
    let request = |headers: &HeaderMap| sessions.session(headers, Client::default());
    let open = request(&HeaderMap::new()).begin().await.expect("begun");
    let cookie = Cookies::new(SiteName::default(), false).write(open.id, Duration::from_secs(60));
    let headers = HeaderMap::from_iter([(header::COOKIE, cookie)]);
    let used = request(&headers).open().await.expect("read");
    assert!(used.is_some(), "the session lasts for thirty days");
    clock.pass(after);
    *store.meanwhile.lock().expect("the lock is not poisoned") = meanwhile;
    (request(&headers), request(&headers))
}

const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[tokio::test]
async fn session_that_ends_while_it_is_prolonged_stays_ended() {
    let (session, _) = moving(TWO_DAYS, Meanwhile::Ends).await;
    assert!(session.open().await.expect("read").is_none());
    let caller = session.caller().await.expect("read");
    assert_eq!(caller.principal(), None);
}

#[tokio::test]
async fn session_that_is_changed_while_it_is_prolonged_stays_changed() {
    let (session, next) = moving(TWO_DAYS, Meanwhile::TurnsDark).await;
    assert!(session.open().await.expect("read").is_some());
    let open = next.open().await.expect("read").expect("it is there");
    assert_eq!(open.data.theme, Theme::Dark);
}

#[tokio::test]
async fn session_that_ends_while_it_is_changed_stays_ended() {
    let (session, _) = moving(Duration::from_secs(60), Meanwhile::Ends).await;
    let changed = session.change(|data| data.theme = Theme::Dark).await;
    assert!(changed.expect("read").is_none());
    assert!(session.open().await.expect("read").is_none());
}

#[test]
fn client_that_began_too_many_sessions_is_told_when_to_try_again() {
    let problem = Problem::from(SessionError::TooMany(Duration::from_secs(7)));
    assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(problem.status, StatusCode::TOO_MANY_REQUESTS);
}
