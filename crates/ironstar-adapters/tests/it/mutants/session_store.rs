//! Broken session stores.

use std::collections::HashSet;
use std::sync::Mutex;

use async_trait::async_trait;
use ironstar_adapters::memory::MemorySessionStore;
use ironstar_ports::contract::session_store::RULES;
use ironstar_ports::{Payload, SessionHash, SessionStore, StoreError, StoredSession};
use time::OffsetDateTime;

mutants! {
    dyn SessionStore, around MemorySessionStore::new();
    "session-round-trip" => MendsTheText,
    "session-of-each-name" => FindsAnother,
    "session-name-is-taken" => CreatesOverAnother,
    "session-replaced" => KeepsWhatItHolds,
    "session-renamed" => LeavesTheOldName,
    "session-renamed-to-a-taken-name" => RenamesOverAnother,
    "session-replace-creates-nothing" => ReplaceCreates,
    "session-one-replacement" => LooksBeforeItReplaces,
    "session-prolonged" => ProlongEmpties,
    "session-prolong-creates-nothing" => ProlongCreates,
    "session-expired-is-not-loaded" => LoadsTheExpired,
    "session-expired-is-not-replaced" => ReplacesTheExpired,
    "session-expired-is-not-prolonged" => ProlongsTheExpired,
    "session-taken-is-gone" => TakeLeavesIt,
    "session-expired-is-not-taken" => TakesTheExpired,
    "session-one-taker" => LooksBeforeItTakes,
    "session-sweep" => SweepsNothing,
}

type Mutant = super::Mutant<Mutation, MemorySessionStore, Notes>;

#[derive(Debug, Default)]
struct Notes {
    /// The sessions that were taken, but are still in the store.
    left: Mutex<HashSet<SessionHash>>,
}

impl Mutant {
    /// Returns a time before any session expired, if this is the mutation.
    fn time(&self, mutation: Mutation, now: OffsetDateTime) -> OffsetDateTime {
        if self.is(mutation) {
            OffsetDateTime::UNIX_EPOCH
        } else {
            now
        }
    }
}

#[async_trait]
impl SessionStore for Mutant {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        if self.is(Mutation::CreatesOverAnother) {
            let now = OffsetDateTime::UNIX_EPOCH;
            self.inner.take(&session.id, now).await?;
        }
        self.inner.create(session).await
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let now = self.time(Mutation::LoadsTheExpired, now);
        let mut loaded = self.inner.load(id, now).await?;
        if loaded.is_none() && self.is(Mutation::FindsAnother) {
            let mut another = *id.as_bytes();
            another[31] = 6;
            loaded = self.inner.load(&SessionHash::new(another), now).await?;
        }
        if let Some(loaded) = &mut loaded
            && self.is(Mutation::MendsTheText)
        {
            let text = loaded.data.as_str().replace('🦀', "?");
            loaded.data = Payload::from_text(text).expect("JSON");
        }
        Ok(loaded)
    }

    async fn replace(
        &self,
        old: &SessionHash,
        mut new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = self.time(Mutation::ReplacesTheExpired, now);
        let known = self.inner.load(old, now).await?;
        match (known, self.mutation) {
            (Some(known), Mutation::KeepsWhatItHolds) if new.id == *old => new.data = known.data,
            (Some(known), Mutation::LeavesTheOldName) if new.id != *old => {
                // Only the first of several concurrent calls succeeds.
                if !self
                    .notes
                    .left
                    .lock()
                    .expect("the lock is not poisoned")
                    .insert(*old)
                {
                    return Ok(false);
                }
                let replaced = self.inner.replace(old, new, now).await?;
                self.inner.create(known).await?;
                return Ok(replaced);
            }
            (Some(_), Mutation::RenamesOverAnother) if new.id != *old => {
                self.inner.take(&new.id, now).await?;
            }
            (Some(_), Mutation::LooksBeforeItReplaces) if new.id != *old => {
                tokio::task::yield_now().await;
                self.inner.create(new).await?;
                self.inner.take(old, now).await?;
                return Ok(true);
            }
            // Does not replace an expired session.
            (None, Mutation::ReplaceCreates) if new.id == *old => {
                return Ok(self.inner.create(new).await.is_ok());
            }
            _ => {}
        }
        self.inner.replace(old, new, now).await
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = self.time(Mutation::ProlongsTheExpired, now);
        let data = Payload::from_text("{}".to_owned()).expect("JSON");
        let new = StoredSession {
            id: *id,
            data,
            expires_at,
        };
        if self.is(Mutation::ProlongEmpties) {
            return self.inner.replace(id, new, now).await;
        }
        let was_there = self.inner.prolong(id, expires_at, now).await?;
        if !was_there && self.is(Mutation::ProlongCreates) {
            // Does not replace an expired session.
            return Ok(self.inner.create(new).await.is_ok());
        }
        Ok(was_there)
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let now = self.time(Mutation::TakesTheExpired, now);
        if self.is(Mutation::TakeLeavesIt) {
            let found = self.inner.load(id, now).await?;
            let is_first = self
                .notes
                .left
                .lock()
                .expect("the lock is not poisoned")
                .insert(*id);
            return Ok(found.filter(|_| is_first));
        }
        if self.is(Mutation::LooksBeforeItTakes) {
            let found = self.inner.load(id, now).await?;
            tokio::task::yield_now().await;
            self.inner.take(id, now).await?;
            return Ok(found);
        }
        self.inner.take(id, now).await
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        if self.is(Mutation::SweepsNothing) {
            return Ok(0);
        }
        self.inner.sweep(now).await
    }
}
