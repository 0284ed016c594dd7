//! The times at which the log is read without a hint.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::FeedOptions;

/// The time for which polls stay quick after a poll has found events. A connection to a network
/// that is lost comes back in seconds, or not for long.
const QUICK_FOR: Duration = Duration::from_secs(10);

/// Tells when to poll. A hint does not delay a poll: it may come from this node, while the hints
/// of others are lost.
pub(super) struct Polling {
    options: FeedOptions,
    quick_until: Option<Instant>,
    /// A permanent timer costs nothing when a hint comes first.
    next: Pin<Box<Sleep>>,
}

impl Polling {
    /// The first poll is due at once.
    pub(super) fn new(options: FeedOptions) -> Self {
        Self {
            options,
            quick_until: None,
            next: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Waits until a poll is due.
    pub(super) async fn due(&mut self) {
        self.next.as_mut().await;
    }

    /// Notes that a poll has been carried out, and whether it has found new events.
    pub(super) fn polled(&mut self, has_found: bool) {
        let now = Instant::now();
        if has_found {
            self.quick_until = Some(now + QUICK_FOR);
        }
        let is_quick = self.quick_until.is_some_and(|end| now < end);
        let pause = if is_quick {
            self.options.quick_poll.min(self.options.poll)
        } else {
            self.options.poll
        };
        self.next.as_mut().reset(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(1);
    const QUICK: Duration = Duration::from_millis(20);

    /// The time until the next poll.
    async fn wait(polling: &mut Polling) -> Duration {
        let start = Instant::now();
        polling.due().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn polls_are_quick_while_they_find_events_and_some_time_longer() {
        let mut polling = Polling::new(FeedOptions {
            poll: SLOW,
            quick_poll: QUICK,
            ..FeedOptions::default()
        });
        assert!(wait(&mut polling).await < QUICK);
        polling.polled(false);
        assert!(wait(&mut polling).await >= SLOW);
        polling.polled(true);
        let start = Instant::now();
        while start.elapsed() < QUICK_FOR {
            let waited = wait(&mut polling).await;
            assert!((QUICK..SLOW / 2).contains(&waited), "{waited:?}");
            polling.polled(false);
        }
        assert!(wait(&mut polling).await >= SLOW);
    }
}
