//! A projection store whose readers of pages can be made to wait, so that other things happen
//! in between, or to fail. Process managers, which read pages of their steps, are left alone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::Shared;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::contract::doubles::AroundProjectionStore;
use ironstar_ports::{DocumentQuery, DocumentSource, Found, ProjectionStore, StoreError};
use tokio::sync::{mpsc, oneshot};

/// The moment at which a reader waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hold {
    /// Before it reads.
    Before,
    /// After it has read.
    After,
}

/// Readers that wait, or will wait.
#[derive(Clone, Debug)]
struct Held {
    when: Hold,
    /// True if not only the first reader waits.
    every: bool,
    reads: mpsc::Sender<()>,
    until: Shared<oneshot::Receiver<()>>,
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
    pub(crate) fn hold(&self, when: Hold) -> (mpsc::Receiver<()>, oneshot::Sender<()>) {
        self.hold_readers(when, false)
    }

    /// Makes all readers of pages wait until the sender is dropped, each before it reads.
    pub(crate) fn hold_all(&self) -> (mpsc::Receiver<()>, oneshot::Sender<()>) {
        self.hold_readers(Hold::Before, true)
    }

    fn hold_readers(&self, when: Hold, every: bool) -> (mpsc::Receiver<()>, oneshot::Sender<()>) {
        let (reads, is_read) = mpsc::channel(1);
        let (holder, until) = oneshot::channel();
        let until = until.shared();
        let held = Held {
            when,
            every,
            reads,
            until,
        };
        *self.held.lock().expect("the lock is not poisoned") = Some(held);
        (is_read, holder)
    }

    /// The hold on the next reader.
    fn next_hold(&self) -> Option<Held> {
        let mut held = self.held.lock().expect("the lock is not poisoned");
        match &*held {
            Some(every) if every.every => Some(every.clone()),
            Some(_) | None => held.take(),
        }
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
        let Some(held) = is_page.then(|| self.next_hold()).flatten() else {
            return self.inner.find(source, query).await;
        };
        let before = self.inner.find(source, query).await;
        // The test may know already that a reader waits.
        let _ = held.reads.try_send(());
        // The error is the signal: the test has dropped the sender.
        let _ = held.until.await;
        match held.when {
            Hold::Before => self.inner.find(source, query).await,
            Hold::After => before,
        }
    }
}
