//! Handling of failed transactions.

use sqlx::sqlite::SqliteConnection;

/// Rolls back the open transaction if the outcome is an error.
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
        // Expected if SQLite has rolled back by itself, for example on a full disk.
        tracing::debug!(%error, "there was nothing to roll back");
    }
}
