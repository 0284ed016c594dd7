//! The removal of old commands.

use std::error::Error;
use std::time::Duration;

use tokio::time::sleep;

use crate::postgres::pool::Pool;

/// The pause between two removals, and the pause while there are more to remove.
const INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// The largest number of commands that are removed at once.
const AT_ONCE: i64 = 1_000;

/// Removes the commands that are older than `$1` seconds, but at most `$2` of them. Commands
/// that another server is removing are left to it.
const REMOVE: &str = "
    DELETE FROM commands WHERE key IN (
        SELECT key FROM commands WHERE created_at < clock_timestamp() - make_interval(secs => $1)
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )";

/// Removes the commands that are older than `retention`, again and again. Never returns.
pub(super) async fn commands(writers: Pool, retention: Duration) {
    loop {
        let query = sqlx::query(REMOVE)
            .bind(retention.as_secs_f64())
            .bind(AT_ONCE);
        let pause = match writers.execute(query).await {
            Ok(removed) if removed >= AT_ONCE.unsigned_abs() => PAUSE,
            Ok(_) => INTERVAL,
            Err(failure) => {
                tracing::warn!(
                    error = &failure as &dyn Error,
                    "old commands were not removed; the server tries again later"
                );
                INTERVAL
            }
        };
        sleep(pause).await;
    }
}
