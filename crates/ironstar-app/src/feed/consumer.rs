//! One consumer of the log, which takes the events from the tail or reads them from the store.

use std::collections::VecDeque;
use std::sync::Arc;

use ironstar_ports::{Envelope, LogPlace, StoreError};
use tokio::task::JoinHandle;

use super::EventFeed;
use crate::history::{
    FeedError, Page, Unverified, goes_on_behind, read_from, read_page, whole_pages,
};

/// The position of one consumer in the log.
pub(super) struct Consumer {
    feed: EventFeed,
    last: LogPlace,
    /// True if the consumer has got the error about the other history.
    is_over: bool,
    ready: VecDeque<Arc<Envelope>>,
    /// The next pages, while they are read.
    ahead: VecDeque<JoinHandle<Unverified>>,
}

impl Consumer {
    /// A consumer that begins after a place.
    pub(super) fn new(feed: EventFeed, after: LogPlace) -> Self {
        Self {
            feed,
            last: after,
            is_over: false,
            ready: VecDeque::new(),
            ahead: VecDeque::new(),
        }
    }

    /// The next event, or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Arc<Envelope>, FeedError>> {
        while !self.is_over {
            if self.feed.other_history.is_cancelled() {
                self.is_over = true;
                return Some(Err(FeedError::OtherHistory));
            }
            if let Some(envelope) = self.ready.pop_front() {
                self.last = envelope.place();
                return Some(Ok(envelope));
            }
            if self.feed.head.borrow_and_update().position <= self.last.position {
                let is_stopped = self.feed.head.changed().await.is_err();
                self.is_over = is_stopped && !self.feed.other_history.is_cancelled();
                continue;
            }
            match self.read().await {
                Ok(ready) => self.ready = ready,
                Err(error) => {
                    self.is_over = matches!(error, FeedError::OtherHistory);
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn read(&mut self) -> Page {
        let recent = self
            .feed
            .tail
            .read()
            .after(self.last, self.feed.options.page);
        if let Some(recent) = recent {
            self.ahead.clear();
            return recent;
        }
        self.read_ahead();
        let page = match self.ahead.pop_front() {
            Some(ahead) => match ahead.await {
                Ok(Ok(page)) => goes_on_behind(self.last, page),
                // [`read_page`] finds out which event is damaged.
                Ok(Err(StoreError::Damaged { .. })) => Ok(VecDeque::new()),
                Ok(Err(error @ StoreError::Unavailable(_))) => Err(error.into()),
                Err(error) => Err(StoreError::unavailable(error).into()),
            },
            None => Ok(VecDeque::new()),
        };
        let page = match page {
            Ok(page) if page.is_empty() => {
                read_page(&*self.feed.store, self.last, self.feed.options.page).await
            }
            page => page,
        };
        let is_whole = matches!(&page, Ok(page) if page.len() == self.feed.options.page);
        if !is_whole {
            // The next page begins at another position than expected.
            self.ahead.clear();
        }
        page
    }

    /// Starts to read the next pages, as far as the log has whole pages.
    fn read_ahead(&mut self) {
        let head = self.feed.head.borrow().position;
        let known = self.ahead.len();
        for after in whole_pages(self.last.position, head, self.feed.options.page).skip(known) {
            let (store, limit) = (Arc::clone(&self.feed.store), self.feed.options.page);
            self.ahead.push_back(tokio::spawn(async move {
                read_from(&*store, after, limit).await
            }));
        }
    }
}
