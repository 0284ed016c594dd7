//! The times at which the log is read without a hint.

use std::pin::Pin;
use std::time::Duration;

use ironstar_ports::Position;
use tokio::time::{Instant, Sleep, sleep_until};

use super::FeedOptions;

/// The time for which polls stay quick after a hint was lost. A connection to a network that is
/// lost comes back in seconds, or not for long.
const QUICK_FOR: Duration = Duration::from_secs(10);

/// Tells when to poll. A hint does not delay a poll: it may come from this node, while the hints
/// of others are lost.
///
/// A poll may find an event whose hint is on its way. So the hint counts as lost only if it has
/// not come by the next poll, which is soon.
pub(super) struct Polling {
    options: FeedOptions,
    /// The last position that a poll has found, as long as there was no hint of it.
    unhinted: Option<Position>,
    /// True if this poll checks the find of the last one.
    is_check: bool,
    quick_until: Option<Instant>,
    /// A permanent timer costs nothing when a hint comes first.
    next: Pin<Box<Sleep>>,
}

impl Polling {
    /// The first poll is due at once.
    pub(super) fn new(options: FeedOptions) -> Self {
        Self {
            options,
            unhinted: None,
            is_check: false,
            quick_until: None,
            next: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Waits until a poll is due.
    pub(super) async fn due(&mut self) {
        self.next.as_mut().await;
    }

    /// Notes a hint of the events up to a position.
    pub(super) fn hinted(&mut self, position: Position) {
        if self.unhinted.is_some_and(|unhinted| unhinted <= position) {
            self.unhinted = None;
        }
    }

    /// Notes that a poll has been carried out, and the position of the last event that it has
    /// found.
    pub(super) fn polled(&mut self, found: Option<Position>) {
        let now = Instant::now();
        if self.unhinted.take().is_some() {
            self.quick_until = Some(now + QUICK_FOR);
        }
        let is_quick = self.quick_until.is_some_and(|end| now < end);
        // Under load, every poll finds events. So a check is not checked itself.
        if is_quick || !self.is_check {
            self.unhinted = found;
        }
        self.is_check = self.unhinted.is_some();
        let pause = if is_quick || self.is_check {
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

    fn polling() -> Polling {
        Polling::new(FeedOptions {
            poll: SLOW,
            quick_poll: QUICK,
            ..FeedOptions::default()
        })
    }

    /// Returns true if the next poll is quick.
    async fn is_next_quick(polling: &mut Polling) -> bool {
        let start = Instant::now();
        polling.due().await;
        start.elapsed() < SLOW / 2
    }

    fn found(position: u64) -> Option<Position> {
        Some(Position::new(position))
    }

    #[tokio::test(start_paused = true)]
    async fn polls_are_quick_after_a_lost_hint_and_some_time_longer() {
        let mut polling = polling();
        assert!(is_next_quick(&mut polling).await, "the first poll");
        polling.polled(None);
        assert!(!is_next_quick(&mut polling).await);
        polling.polled(found(1));
        assert!(is_next_quick(&mut polling).await, "the check");
        let start = Instant::now();
        // The hint has not come.
        polling.polled(None);
        while start.elapsed() + QUICK * 2 < QUICK_FOR {
            assert!(is_next_quick(&mut polling).await);
            polling.polled(None);
        }
        polling.due().await;
        tokio::time::sleep(QUICK * 2).await;
        polling.polled(None);
        assert!(!is_next_quick(&mut polling).await);
    }

    #[tokio::test(start_paused = true)]
    async fn late_hints_make_one_poll_quick() {
        let mut polling = polling();
        polling.due().await;
        for position in 1..10 {
            polling.polled(found(2 * position));
            assert!(is_next_quick(&mut polling).await, "the check");
            polling.hinted(Position::new(2 * position));
            // The check itself finds events whose hints are on their way.
            polling.polled(found(2 * position + 1));
            assert!(!is_next_quick(&mut polling).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hint_of_an_earlier_event_does_not_count() {
        let mut polling = polling();
        polling.due().await;
        polling.polled(found(2));
        polling.hinted(Position::new(1));
        polling.due().await;
        polling.polled(None);
        assert!(is_next_quick(&mut polling).await);
        polling.polled(None);
        assert!(is_next_quick(&mut polling).await);
    }
}
