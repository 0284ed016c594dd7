//! The size of a batch: as many appends as are waiting, within limits.

use tokio::sync::mpsc;
use tokio::task::yield_now;

/// The largest number of appends in one commit.
pub(crate) const BATCH: usize = 512;

/// The number of appends that are worth a sync. More appends may arrive during the sync.
const WORTHWHILE: usize = 64;

/// Waits while more requests arrive, until the batch is worth its sync. A caller that has
/// just got its answer may be about to send another request, and this batch serves it earlier
/// than the next.
pub(crate) async fn wait_for_more<T>(requests: &mpsc::Receiver<T>, taken: usize) {
    loop {
        let waiting = requests.len();
        if taken + waiting >= WORTHWHILE {
            return;
        }
        yield_now().await;
        if requests.len() == waiting {
            return;
        }
    }
}
