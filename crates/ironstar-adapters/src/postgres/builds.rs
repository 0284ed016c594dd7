//! Builds of projections, one row for each.

use std::time::Duration;

use futures::FutureExt;
use ironstar_ports::{Build, BuildId, BuildState, BuildUpdate, Lease, StoreError, UpdateError};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgTransaction};
use tokio::time::{Instant, sleep};

use super::pool::{Pool, PoolFailure};
use super::transaction::in_task;
use crate::builds::{BuildError, BuildRow, build, state_text, updated};
use crate::log::integer;

/// Columns of a build, in order.
macro_rules! columns {
    () => {
        "id, name, version, state, checkpoint, mark, failure::text, skipped::text"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM projections ", $rest)
    };
}

/// Selects all builds by name. The live build comes first.
const SELECT_ALL: &str = select!("WHERE state <> 'ended' ORDER BY name, state <> 'live'");

/// Waits for commits of documents, and keeps other changes of builds away. The commit waits for the
/// disk: after a crash, a lost number could be given to a second build.
const LOCK: &str = "
    SET LOCAL synchronous_commit = on;
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE";

/// The build in progress of a projection ($1).
const SELECT_UNFINISHED: &str = select!("WHERE name = $1 AND state IN ('building', 'cancelled')");

const SELECT_ONE: &str = select!("WHERE id = $1 AND state <> 'ended'");
const SELECT_LIVE: &str = select!("WHERE name = $1 AND state = 'live'");

/// Selects the lease $1 if it has the epoch $2, and keeps it from moving.
const KEEP_LEASE: &str = "SELECT FROM leases WHERE name = $1 AND epoch = $2 FOR SHARE";

const INSERT: &str = concat!(
    "INSERT INTO projections (name, version, state, checkpoint, skipped)
     VALUES ($1, $2, 'building', 0, '[]')
     RETURNING ",
    columns!()
);

const END: &str = "UPDATE projections SET state = 'ended' WHERE id = $1";

const UPDATE: &str = "
    UPDATE projections SET state = $2, failure = $3::json, skipped = $4::json WHERE id = $1";

/// Deletes some documents of an ended build, so that no other change waits for long, or the build
/// itself after its last documents. Returns the number of deleted rows.
const SWEEP: &str = "
    WITH ended AS (
        SELECT id FROM projections WHERE state = 'ended' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ), swept AS (
        DELETE FROM documents WHERE (projection, key) IN (
            SELECT projection, key FROM documents
            WHERE projection = (SELECT id FROM ended) LIMIT 1000
        )
        RETURNING key
    ), gone AS (
        DELETE FROM projections
        WHERE id = (SELECT id FROM ended)
            AND NOT EXISTS (SELECT FROM documents WHERE projection = projections.id)
        RETURNING id
    )
    SELECT (SELECT count(*) FROM swept) + (SELECT count(*) FROM gone)";

/// The rest after a part of a sweep, as a multiple of the time that the part took.
const SWEEP_REST: u32 = 9;

/// The pause after a part of a sweep that failed, and the number of such pauses.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);
const SWEEP_ATTEMPTS: u32 = 10;

/// Errors of reading or writing a build.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pool(#[from] PoolFailure),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the build was not changed, because this node no longer holds the lease")]
    LeaseOver,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Build(error.into())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure)
    }
}

impl From<Failure> for UpdateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::LeaseOver => Self::LeaseOver,
            failure @ (Failure::Pool(_) | Failure::Build(_)) => Self::Store(failure.into()),
        }
    }
}

impl From<PoolFailure> for UpdateError {
    fn from(failure: PoolFailure) -> Self {
        Self::Store(failure.into())
    }
}

/// Returns all builds that have not ended.
pub(super) async fn all(readers: &Pool) -> Result<Vec<Build>, Failure> {
    let rows: Vec<BuildRow> = readers.rows(sqlx::query_as(SELECT_ALL)).await?;
    Ok(rows.into_iter().map(build).collect::<Result<_, _>>()?)
}

/// Continues the build in progress, or begins a new one.
pub(super) async fn begin(
    pool: &Pool,
    lease: Option<&Lease>,
    name: &str,
    version: u32,
) -> Result<Build, Failure> {
    let (lease, name) = (lease.cloned(), name.to_owned());
    in_task(pool, move |connection| {
        async move { begin_in(connection, lease.as_ref(), &name, version).await }.boxed()
    })
    .await
}

async fn begin_in(
    connection: &mut PgConnection,
    lease: Option<&Lease>,
    name: &str,
    version: u32,
) -> Result<Build, Failure> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, lease).await?;
    let unfinished: Option<BuildRow> = sqlx::query_as(SELECT_UNFINISHED)
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?;
    let mut begun = match unfinished.map(build).transpose()? {
        Some(build) if build.version == version => build,
        unfinished => {
            if let Some(other) = unfinished {
                end(&mut transaction, other.id).await?;
            }
            let begun: BuildRow = sqlx::query_as(INSERT)
                .bind(name)
                .bind(i64::from(version))
                .fetch_one(&mut *transaction)
                .await?;
            build(begun)?
        }
    };
    begun.state = BuildState::Building;
    write(&mut transaction, &begun).await?;
    transaction.commit().await?;
    Ok(begun)
}

/// Updates a build.
pub(super) async fn update(
    pool: &Pool,
    lease: Option<&Lease>,
    id: BuildId,
    update: BuildUpdate,
) -> Result<(), UpdateError> {
    let lease = lease.cloned();
    in_task(pool, move |connection| {
        async move { update_in(connection, lease.as_ref(), id, update).await }.boxed()
    })
    .await
}

async fn update_in(
    connection: &mut PgConnection,
    lease: Option<&Lease>,
    id: BuildId,
    update: BuildUpdate,
) -> Result<(), UpdateError> {
    let mut transaction = connection.begin().await.map_err(Failure::from)?;
    lock(&mut transaction, lease).await?;
    let (before, live) = read_for_update(&mut transaction, id).await?;
    let before = before.ok_or(UpdateError::NoSuchBuild)?;
    let is_promoted = update == BuildUpdate::Promote;
    let live_at = live.as_ref().map(|live| live.checkpoint.position);
    let updated = updated(before, update, live_at)?;
    if let Some(live) = live
        && is_promoted
    {
        end(&mut transaction, live.id).await?;
    }
    match updated {
        Some(updated) => write(&mut transaction, &updated).await?,
        None => end(&mut transaction, id).await?,
    }
    transaction.commit().await.map_err(Failure::from)?;
    Ok(())
}

/// Returns a build, and the live build of the same projection.
async fn read_for_update(
    transaction: &mut PgTransaction<'_>,
    id: BuildId,
) -> Result<(Option<Build>, Option<Build>), Failure> {
    let row: Option<BuildRow> = sqlx::query_as(SELECT_ONE)
        .bind(integer(id.get()))
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(found) = row.map(build).transpose()? else {
        return Ok((None, None));
    };
    let live: Option<BuildRow> = sqlx::query_as(SELECT_LIVE)
        .bind(&found.name)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok((Some(found), live.map(build).transpose()?))
}

/// Locks the builds, and requires that the lease is not over. It stays so until the commit.
async fn lock(transaction: &mut PgTransaction<'_>, lease: Option<&Lease>) -> Result<(), Failure> {
    sqlx::raw_sql(LOCK).execute(&mut **transaction).await?;
    let Some(Lease { name, epoch }) = lease else {
        return Ok(());
    };
    let held = sqlx::query(KEEP_LEASE)
        .bind(name)
        .bind(integer(*epoch))
        .fetch_optional(&mut **transaction)
        .await?;
    held.map(drop).ok_or(Failure::LeaseOver)
}

async fn end(connection: &mut PgConnection, id: BuildId) -> Result<(), Failure> {
    sqlx::query(END)
        .bind(integer(id.get()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn write(connection: &mut PgConnection, build: &Build) -> Result<(), Failure> {
    let failure = build.failure.as_ref().map(serde_json::to_string);
    let skipped = serde_json::to_string(&build.skipped);
    sqlx::query(UPDATE)
        .bind(integer(build.id.get()))
        .bind(state_text(build.state))
        .bind(failure.transpose().map_err(BuildError::from)?)
        .bind(skipped.map_err(BuildError::from)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the documents of ended builds, and the builds, a little at a time.
pub(super) async fn sweep(pool: Pool) {
    let mut failures = 0;
    loop {
        let start = Instant::now();
        match sweep_some(&pool).await {
            Ok(0) => return,
            Ok(_) => sleep(start.elapsed() * SWEEP_REST).await,
            Err(_) if failures < SWEEP_ATTEMPTS => {
                failures += 1;
                sleep(SWEEP_PAUSE).await;
            }
            Err(failure) => {
                tracing::warn!(
                    error = &failure as &dyn std::error::Error,
                    "ended builds were not removed; the server tries again with the next build"
                );
                return;
            }
        }
    }
}

async fn sweep_some(pool: &Pool) -> Result<i64, PoolFailure> {
    let swept: Option<(i64,)> = pool.row(sqlx::query_as(SWEEP)).await?;
    Ok(swept.map_or(0, |(swept,)| swept))
}
