//! Transactions that fail.

use sqlx::sqlite::SqliteConnection;

/// Leaves no transaction open.
pub(super) async fn roll_back_if_failed<T, E>(
    connection: &mut SqliteConnection,
    outcome: Result<T, E>,
) -> Result<T, E> {
    if outcome.is_err() {
        roll_back(connection).await;
    }
    outcome
}

async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        // Expected when SQLite has rolled back by itself, as on a full disk.
        tracing::debug!(%error, "there was nothing to roll back");
    }
}
