//! A projection store whose readers can be made to wait, so that other things happen in
//! between, or to fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    ProjectionStore, StoreError, UpdateError,
};
use tokio::sync::oneshot;

/// The moment at which a reader waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hold {
    /// Before it reads.
    Before,
    /// After it has read.
    After,
}

/// A reader that waits, or will wait.
#[derive(Debug)]
struct Held {
    when: Hold,
    reads: oneshot::Sender<()>,
    until: oneshot::Receiver<()>,
}

/// A store whose next reader of a page waits if the test says so.
#[derive(Debug, Default)]
pub(crate) struct HeldStore {
    inner: MemoryProjectionStore,
    held: Mutex<Option<Held>>,
    broken: AtomicU32,
}

impl HeldStore {
    /// Makes the next `readers` of a page fail.
    pub(crate) fn fail(&self, readers: u32) {
        self.broken.store(readers, SeqCst);
    }

    /// The number of readers that are still to fail.
    pub(crate) fn broken(&self) -> u32 {
        self.broken.load(SeqCst)
    }

    /// Makes the next reader of a page wait until the sender is dropped. The receiver tells
    /// when the reader has come.
    pub(crate) fn hold(&self, when: Hold) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reads, is_read) = oneshot::channel();
        let (holder, until) = oneshot::channel();
        let held = Held { when, reads, until };
        *self.held.lock().expect("the lock is not poisoned") = Some(held);
        (is_read, holder)
    }
}

#[async_trait]
impl ProjectionStore for HeldStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        self.inner.builds().await
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.inner.begin(name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.inner.update(build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        self.inner.commit(batch).await
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        let is_broken = |left: u32| left.checked_sub(1);
        if query.page.is_some() && self.broken.try_update(SeqCst, SeqCst, is_broken).is_ok() {
            return Err(StoreError::unavailable("broken by the test"));
        }
        let held = || self.held.lock().expect("the lock is not poisoned").take();
        let Some(held) = query.page.is_some().then(held).flatten() else {
            return self.inner.find(source, query).await;
        };
        let before = self.inner.find(source, query).await;
        held.reads.send(()).expect("the test waits for the reader");
        // The error is the signal: the test has dropped the sender.
        let _ = held.until.await;
        match held.when {
            Hold::Before => self.inner.find(source, query).await,
            Hold::After => before,
        }
    }
}
