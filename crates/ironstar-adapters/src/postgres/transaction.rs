//! Transactions of several statements.

use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::connection::ANSWER;
use super::pool::{Pool, PoolFailure};

/// Makes a change in a task, because a caller that goes away must not leave a transaction open.
/// A connection that may still have one is closed.
pub(super) async fn in_task<T, E>(
    pool: &Pool,
    change: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<PoolFailure> + Send + 'static,
{
    let mut connection = pool.lend().await?;
    let task = tokio::spawn(async move {
        match timeout(ANSWER, change(&mut connection)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                connection.discard();
                Err(error)
            }
            Err(_) => {
                connection.discard();
                Err(PoolFailure::Unanswered.into())
            }
        }
    });
    task.await.map_err(|_| PoolFailure::Interrupted)?
}
