//! Keeps a view up to date.
//!
//! The follower publishes at most once a frame, however many news arrive. It publishes the first
//! change after a rest at once, and further changes within the time of a frame together, at the
//! end of the frame. So a single visitor never waits, and a view is drawn at most once a frame.

use std::sync::Weak;
use std::time::Duration;

use ironstar_app::projection::{News, Projection};
use ironstar_ports::LogPlace;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::View;
use super::live_view::LiveView;

/// The time for which a screen shows one picture.
pub(super) const FRAME: Duration = Duration::from_millis(16);

/// News of the read model of a view.
pub(super) type NewsOf<V> = News<<<V as View>::Projection as Projection>::Document>;

/// Follows the news until they end or the view is no longer held. If the follower misses some,
/// `reached` tells the place that the read model has reached.
pub(super) async fn follow<V: View>(
    view: Weak<LiveView<V>>,
    reached: impl Fn() -> LogPlace,
    mut news: Receiver<NewsOf<V>>,
) {
    // The earliest time of the next publication, and whether there is something to publish.
    let mut not_before = Instant::now();
    let mut is_due = false;
    loop {
        let heard = tokio::select! {
            biased;
            () = sleep_until(not_before), if is_due => None,
            heard = news.recv() => Some(heard),
        };
        let Some(view) = view.upgrade() else {
            return;
        };
        match heard {
            None => {}
            Some(Ok(news)) => is_due |= view.take(&news),
            Some(Err(RecvError::Lagged(_))) => is_due |= view.take(&News::Jumped(reached())),
            Some(Err(RecvError::Closed)) => {
                view.publish();
                return;
            }
        }
        if is_due && Instant::now() >= not_before {
            view.publish();
            is_due = false;
            not_before = Instant::now() + FRAME;
        }
    }
}
