//! The newest frame of something that a page shows beside its view: how many
//! people are here, or what a list is called.
//!
//! Such frames are no part of the log, so they carry no id. Each says all there
//! is to say, and takes the place of the one before: who is slow gets the newest
//! only, and nothing queues up.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio::sync::watch;

/// Frames that go out beside those of a view, for as long as there are any.
pub(crate) type Side = BoxStream<'static, Bytes>;

/// The frame that there is, unless it is empty, then each that takes its place.
/// What is `held` is dropped with the stream.
pub(crate) fn side(mut latest: watch::Receiver<Bytes>, held: impl Send + 'static) -> Side {
    // Also the first one is news.
    latest.mark_changed();
    frames(latest, held).boxed()
}

/// Each frame that takes the place of the one that there is, and not that one.
pub(crate) fn news(latest: watch::Receiver<Bytes>, held: impl Send + 'static) -> Side {
    frames(latest, held).boxed()
}

fn frames(latest: watch::Receiver<Bytes>, held: impl Send) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((latest, held), |(mut latest, held)| async move {
        loop {
            latest.changed().await.ok()?;
            let frame = latest.borrow_and_update().clone();
            if !frame.is_empty() {
                return Some((frame, (latest, held)));
            }
        }
    })
}

#[cfg(test)]
mod tests;
