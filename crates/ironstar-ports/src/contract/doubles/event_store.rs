//! Event stores around another one.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    Append, AppendError, Appended, CommandKey, Envelope, EventStore, Outcome, Position, Sequence,
    StoreError, StreamId,
};

/// A store around another one. Calls go to the [inner](Self::inner) store, except those that an
/// implementation replaces. Each implementation is an [`EventStore`].
#[async_trait]
pub trait AroundEventStore: Debug + Send + Sync {
    /// The store that gets the calls.
    fn inner(&self) -> &dyn EventStore;

    /// See [`EventStore::append`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner().append(append).await
    }

    /// See [`EventStore::outcome`].
    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.inner().outcome(key).await
    }

    /// See [`EventStore::load_stream`].
    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inner().load_stream(stream, after, limit).await
    }

    /// See [`EventStore::load_after`].
    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inner().load_after(position, limit).await
    }

    /// See [`EventStore::head`].
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner().head().await
    }
}

#[async_trait]
impl<S: AroundEventStore> EventStore for S {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        AroundEventStore::append(self, append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        AroundEventStore::outcome(self, key).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        AroundEventStore::load_stream(self, stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        AroundEventStore::load_after(self, position, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        AroundEventStore::head(self).await
    }
}
