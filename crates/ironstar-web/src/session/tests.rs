use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, header};
use governor::clock::MonotonicClock;
use ironstar_adapters::memory::MemorySessionStore;
use ironstar_adapters::system::SystemIdSource;
use ironstar_app::access::Links;
use ironstar_ports::{Clock, SessionHash, SessionStore, StoreError, StoredSession};
use time::OffsetDateTime;

use super::{Cookies, Session, Sessions, Theme};
use crate::rate::NewSessionRate;
use crate::visitor::Visitor;

/// A store in which a session may end as soon as it has been read.
#[derive(Debug, Default)]
struct FadingStore {
    inner: MemorySessionStore,
    is_fading: AtomicBool,
}

#[async_trait]
impl SessionStore for FadingStore {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        self.inner.create(session).await
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        if self.is_fading.load(SeqCst) {
            return self.inner.take(id, now).await;
        }
        self.inner.load(id, now).await
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

#[derive(Debug)]
struct SetClock(Mutex<OffsetDateTime>);

impl Clock for SetClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().expect("nobody panics")
    }
}

/// A visitor's next request, after a while in which their session may have been used,
/// and who ends it as soon as it is read.
async fn fading(after: Duration) -> Session {
    let store = Arc::new(FadingStore::default());
    let clock = Arc::new(SetClock(Mutex::new(OffsetDateTime::UNIX_EPOCH)));
    let sessions = Arc::new(Sessions::new(
        store.clone(),
        clock.clone(),
        Arc::new(SystemIdSource),
        Links::new([0; 32]),
        Cookies::new(false),
        NewSessionRate::new(false, MonotonicClock),
    ));
    let request = |headers: &HeaderMap| sessions.session(headers, Visitor::default());
    let open = request(&HeaderMap::new()).begin().await.expect("begun");
    let cookie = Cookies::new(false).write(open.id, Duration::from_secs(60));
    let headers = HeaderMap::from_iter([(header::COOKIE, cookie)]);
    let used = request(&headers).open().await.expect("read");
    assert!(used.is_some(), "it is there for thirty days");
    *clock.0.lock().expect("nobody panics") += after;
    store.is_fading.store(true, SeqCst);
    request(&headers)
}

#[tokio::test]
async fn one_that_ends_while_it_is_given_more_time_stays_so() {
    let session = fading(Duration::from_secs(2 * 24 * 60 * 60)).await;
    assert!(session.open().await.expect("read").is_none());
    let caller = session.caller().await.expect("read");
    assert_eq!(caller.principal(), None);
}

#[tokio::test]
async fn one_that_ends_while_it_is_changed_stays_so() {
    let session = fading(Duration::from_secs(60)).await;
    let changed = session.change(|data| data.theme = Theme::Dark).await;
    assert!(changed.expect("read").is_none());
    assert!(session.open().await.expect("read").is_none());
}
