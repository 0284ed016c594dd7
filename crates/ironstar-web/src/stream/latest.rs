//! The newest frame of a value that a page shows beside its view, such as the number of people
//! on the page or the name of a list.
//!
//! Such frames are not part of the log, so they carry no id. Each frame is complete and replaces
//! the one before. So a slow subscriber gets only the newest frame, and no queue grows.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio::sync::watch;

/// Frames that go out beside those of a view.
pub type Side = BoxStream<'static, Bytes>;

/// The current frame, unless it is empty, then each frame that replaces it. The stream owns
/// `held`, and drops it at its own end.
pub fn side(mut latest: watch::Receiver<Bytes>, held: impl Send + 'static) -> Side {
    // The current frame counts as new, too.
    latest.mark_changed();
    frames(latest, held).boxed()
}

/// Each frame that replaces the current one, but not the current one itself.
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
