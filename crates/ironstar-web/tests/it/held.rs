//! A projection store whose readers of pages can be made to wait, so that other things happen
//! in between, or to fail. Process managers, which read pages of their steps, are left alone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::contract::doubles::AroundProjectionStore;
use ironstar_ports::{DocumentQuery, DocumentSource, Found, ProjectionStore, StoreError};
use tokio::sync::oneshot;

/// The moment at which a reader waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hold {
    /// Before it reads.
    Before,
    /// After it has read.
    After,
}

/// A call that waits, or will wait, for the test.
#[derive(Debug)]
pub(crate) struct Held {
    comes: oneshot::Sender<()>,
    until: oneshot::Receiver<()>,
}

impl Held {
    /// A call that waits until the sender is dropped. The receiver tells when the call has come.
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (comes, has_come) = oneshot::channel();
        let (holder, until) = oneshot::channel();
        (Self { comes, until }, has_come, holder)
    }

    pub(crate) async fn wait(self) {
        // The test may know already that the call waits.
        let _ = self.comes.send(());
        // The error is the signal: the test has dropped the sender.
        let _ = self.until.await;
    }
}

/// A store whose next reader of a page waits if the test says so.
#[derive(Debug, Default)]
pub(crate) struct HeldStore {
    inner: MemoryProjectionStore,
    held: Mutex<Option<(Hold, Held)>>,
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
        let (held, has_come, holder) = Held::new();
        *self.held.lock().expect("the lock is not poisoned") = Some((when, held));
        (has_come, holder)
    }

    /// The hold on the next reader.
    fn next_hold(&self) -> Option<(Hold, Held)> {
        self.held.lock().expect("the lock is not poisoned").take()
    }
}

#[async_trait]
impl AroundProjectionStore for HeldStore {
    fn inner(&self) -> &dyn ProjectionStore {
        &self.inner
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        let is_page = query.page.as_ref().is_some_and(|page| {
            let steps = |name: &String| matches!(&**name, "steps" | "timers");
            !page.collections.iter().any(steps)
        });
        let is_broken = |left: u32| left.checked_sub(1);
        if is_page && self.broken.try_update(SeqCst, SeqCst, is_broken).is_ok() {
            return Err(StoreError::unavailable("broken by the test"));
        }
        let Some((when, held)) = is_page.then(|| self.next_hold()).flatten() else {
            return self.inner.find(source, query).await;
        };
        let before = self.inner.find(source, query).await;
        held.wait().await;
        match when {
            Hold::Before => self.inner.find(source, query).await,
            Hold::After => before,
        }
    }
}
