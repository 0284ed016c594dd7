//! Pools of connections, and statements on them.
//!
//! The pool is that of deadpool. The pool of sqlx tries a refused connection again until its time
//! limit, and then reports only the time limit.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts,
};
use ironstar_ports::StoreError;
use sqlx::Connection;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::{Query, QueryAs};
use tokio::time::timeout;

use super::connection::{ANSWER, Connector, Use};
use super::open_error::{OpenError, is_connection_lost};

/// The time for which a caller waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);

/// The age at which a connection is replaced. A new one is examined, and sets the clock.
const LONGEST_AGE: Duration = Duration::from_secs(10 * 60);

/// A connection that was unused for this long is tried before it is used.
const TRY_AFTER: Duration = Duration::from_secs(1);
const TRIAL: Duration = Duration::from_secs(1);

/// A pool of connections for one use.
#[derive(Clone, Debug)]
pub(super) struct Pool(managed::Pool<Opener>);

/// Opens the connections of a pool.
#[derive(Debug)]
struct Opener {
    connector: Connector,
    use_: Use,
}

/// The reasons why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolFailure {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a statement failed in the PostgreSQL database")]
    Database(#[from] sqlx::Error),
    #[error("the PostgreSQL database did not answer within 15 s. Check its load and its locks")]
    Unanswered,
    #[error("the transaction ended early, because its task panicked or was cancelled")]
    Interrupted,
}

impl From<PoolFailure> for StoreError {
    fn from(failure: PoolFailure) -> Self {
        Self::unavailable(failure)
    }
}

/// A connection that returns to its pool when it is dropped.
pub(super) struct Lent(Object<Opener>);

impl Lent {
    /// Closes the connection instead.
    pub(super) fn discard(self) {
        drop(Object::take(self.0));
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Manager for Opener {
    type Type = PgConnection;
    type Error = OpenError;

    async fn create(&self) -> Result<PgConnection, OpenError> {
        self.connector.connect(self.use_).await
    }

    async fn recycle(
        &self,
        connection: &mut PgConnection,
        metrics: &Metrics,
    ) -> RecycleResult<OpenError> {
        self.connector.seen.check().map_err(OpenError::from)?;
        if metrics.age() > LONGEST_AGE {
            return Err(RecycleError::message("the connection is old"));
        }
        if metrics.last_used() < TRY_AFTER {
            return Ok(());
        }
        match timeout(TRIAL, connection.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(RecycleError::message("the connection is gone")),
        }
    }
}

impl Pool {
    /// Creates a pool that opens up to `size` connections when they are needed.
    pub(super) fn new(connector: Connector, use_: Use, size: usize) -> Self {
        let limits = Timeouts {
            wait: Some(WAIT),
            ..Timeouts::default()
        };
        let pool = managed::Pool::builder(Opener { connector, use_ })
            .max_size(size)
            .timeouts(limits)
            .runtime(Runtime::Tokio1)
            .build();
        Self(pool.expect("a pool with a runtime can be built"))
    }

    /// Returns all rows of a statement.
    pub(super) async fn rows<'q, O>(
        &self,
        query: QueryAs<'q, Postgres, O, PgArguments>,
    ) -> Result<Vec<O>, PoolFailure>
    where
        O: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + 'q,
    {
        let mut connection = self.get().await?;
        let rows = timeout(ANSWER, query.fetch_all(&mut *connection)).await;
        finish(connection, rows).await
    }

    /// Returns the first row of a statement, if it has one.
    pub(super) async fn row<'q, O>(
        &self,
        query: QueryAs<'q, Postgres, O, PgArguments>,
    ) -> Result<Option<O>, PoolFailure>
    where
        O: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + 'q,
    {
        let mut rows = self.rows(query).await?;
        Ok((!rows.is_empty()).then(|| rows.swap_remove(0)))
    }

    /// Executes a statement, and returns the number of rows that it has changed.
    pub(super) async fn execute<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Result<u64, PoolFailure> {
        let mut connection = self.get().await?;
        let done = timeout(ANSWER, query.execute(&mut *connection)).await;
        Ok(finish(connection, done).await?.rows_affected())
    }

    /// Lends a connection for a transaction.
    pub(super) async fn lend(&self) -> Result<Lent, PoolFailure> {
        Ok(Lent(self.get().await?))
    }

    /// Refuses all later statements.
    pub(super) fn close(&self) {
        self.0.close();
    }

    async fn get(&self) -> Result<Object<Opener>, OpenError> {
        let url = &self.0.manager().connector.url;
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => OpenError::Closed,
            PoolError::Timeout(_)
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => OpenError::Busy {
                server: url.server(),
            },
        })
    }
}

/// Returns a connection to its pool, unless it is useless.
async fn finish<T>(
    connection: Object<Opener>,
    outcome: Result<sqlx::Result<T>, tokio::time::error::Elapsed>,
) -> Result<T, PoolFailure> {
    let failure = match outcome {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) if !is_connection_lost(&error) => return Err(error.into()),
        Ok(Err(error)) => error.into(),
        Err(_) => PoolFailure::Unanswered,
    };
    drop(Object::take(connection));
    Err(failure)
}
