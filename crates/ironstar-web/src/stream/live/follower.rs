//! Keeps a view up to date.
//!
//! News come as they come, and browsers are told once a frame: the first change
//! after a rest at once, and what follows within the time of a frame together,
//! at its end. So whoever acts alone never waits, and however much happens, a
//! view is drawn for everyone at most once a frame.

use std::sync::Weak;
use std::time::Duration;

use ironstar_app::projection::{News, Projection};
use ironstar_ports::LogPlace;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::View;
use super::live_view::LiveView;

/// How long a screen shows one picture.
pub(super) const FRAME: Duration = Duration::from_millis(16);

/// What is told about the read model of a view.
pub(super) type NewsOf<V> = News<<<V as View>::Projection as Projection>::Document>;

/// Follows the news for as long as there are any, and somebody holds the view.
/// When some are missed, `reached` says how far the read model has got.
pub(super) async fn follow<V: View>(
    view: Weak<LiveView<V>>,
    reached: impl Fn() -> LogPlace,
    mut news: Receiver<NewsOf<V>>,
) {
    // When the next publication may be made; and whether one is to be made.
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
