//! Builds of projections, one row for each.

use ironstar_ports::{Build, BuildId, BuildState, BuildUpdate, UpdateError};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::transaction::roll_back_if_failed;
use crate::builds::{BuildError, BuildRow, build, state_text, updated};
use crate::log::integer;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, version, state, checkpoint, mark, failure, skipped FROM projections ",
            $rest
        )
    };
}

/// Selects all builds by name. The live build comes first.
const SELECT_ALL: &str = select!("WHERE state <> 'ended' ORDER BY name, state <> 'live'");

/// Begins, and reads the build in progress of a projection (?1).
const BEGIN_AND_READ_UNFINISHED: &str = concat!(
    "BEGIN IMMEDIATE;",
    select!("WHERE name = ?1 AND state IN ('building', 'cancelled')")
);

/// Begins, and reads a build (?1).
const BEGIN_WITH: &str = concat!(
    "BEGIN IMMEDIATE;",
    select!("WHERE id = ?1 AND state <> 'ended'")
);

const SELECT_LIVE: &str = select!("WHERE name = ?1 AND state = 'live'");

const INSERT: &str = "
    INSERT INTO projections (name, version, state, checkpoint, skipped)
    VALUES (?1, ?2, 'building', 0, '[]')
    RETURNING id, name, version, state, checkpoint, mark, failure, skipped";

const END: &str = "UPDATE projections SET state = 'ended' WHERE id = ?1";

const END_AND_COMMIT: &str = "
    UPDATE projections SET state = 'ended' WHERE id = ?1;
    COMMIT";

const UPDATE_AND_COMMIT: &str = "
    UPDATE projections SET state = ?2, failure = ?3, skipped = ?4 WHERE id = ?1;
    COMMIT";

/// Selects one build that has ended, if there is any.
const SELECT_ENDED: &str = "SELECT id FROM projections WHERE state = 'ended' LIMIT 1";

/// Deletes a limited number of documents, so that no append waits for long.
const SWEEP_DOCUMENTS: &str = "
    DELETE FROM documents
    WHERE projection = ?1 AND key IN (SELECT key FROM documents WHERE projection = ?1 LIMIT 1000)";

/// Deletes an ended build that has no documents any more.
const SWEEP_BUILD: &str = "
    DELETE FROM projections
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM documents WHERE projection = ?1)";

/// Returns all builds that have not ended.
pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<Build>, BuildError> {
    let rows: Vec<BuildRow> = sqlx::query_as(SELECT_ALL).fetch_all(readers).await?;
    rows.into_iter().map(build).collect()
}

/// Continues the build in progress, or begins a new one.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    name: &str,
    version: u32,
) -> Result<Build, BuildError> {
    let begun = transact_begin(connection, name, version).await;
    roll_back_if_failed(connection, begun).await
}

async fn transact_begin(
    connection: &mut SqliteConnection,
    name: &str,
    version: u32,
) -> Result<Build, BuildError> {
    let unfinished: Option<BuildRow> = sqlx::query_as(BEGIN_AND_READ_UNFINISHED)
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    let mut begun = match unfinished.map(build).transpose()? {
        Some(build) if build.version == version => build,
        unfinished => {
            if let Some(other) = unfinished {
                end(connection, other.id).await?;
            }
            let begun: BuildRow = sqlx::query_as(INSERT)
                .bind(name)
                .bind(version)
                .fetch_one(&mut *connection)
                .await?;
            build(begun)?
        }
    };
    begun.state = BuildState::Building;
    write_and_commit(connection, &begun).await?;
    Ok(begun)
}

/// Updates a build.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    id: BuildId,
    update: BuildUpdate,
) -> Result<(), UpdateError> {
    let updated = transact_update(connection, id, update).await;
    roll_back_if_failed(connection, updated).await
}

async fn transact_update(
    connection: &mut SqliteConnection,
    id: BuildId,
    update: BuildUpdate,
) -> Result<(), UpdateError> {
    let row: Option<BuildRow> = sqlx::query_as(BEGIN_WITH)
        .bind(integer(id.get()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(BuildError::from)?;
    let before = build(row.ok_or(UpdateError::NoSuchBuild)?)?;
    let live: Option<BuildRow> = sqlx::query_as(SELECT_LIVE)
        .bind(&before.name)
        .fetch_optional(&mut *connection)
        .await
        .map_err(BuildError::from)?;
    let live = live.map(build).transpose()?;
    let is_promoted = update == BuildUpdate::Promote;
    let updated = updated(
        before,
        update,
        live.as_ref().map(|live| live.checkpoint.position),
    )?;
    if let Some(live) = live
        && is_promoted
    {
        end(connection, live.id).await?;
    }
    match updated {
        Some(updated) => write_and_commit(connection, &updated).await?,
        None => end_and_commit(connection, id).await?,
    }
    Ok(())
}

async fn end_and_commit(connection: &mut SqliteConnection, id: BuildId) -> Result<(), BuildError> {
    sqlx::query(END_AND_COMMIT)
        .bind(integer(id.get()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn end(connection: &mut SqliteConnection, id: BuildId) -> Result<(), BuildError> {
    sqlx::query(END)
        .bind(integer(id.get()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_and_commit(
    connection: &mut SqliteConnection,
    build: &Build,
) -> Result<(), BuildError> {
    let failure = build.failure.as_ref().map(serde_json::to_string);
    sqlx::query(UPDATE_AND_COMMIT)
        .bind(integer(build.id.get()))
        .bind(state_text(build.state))
        .bind(failure.transpose()?)
        .bind(serde_json::to_string(&build.skipped)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes some documents of an ended build, or the build itself after its last documents.
/// Returns true if there may be more to delete.
pub(super) async fn sweep(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let ended: Option<i64> = sqlx::query_scalar(SELECT_ENDED)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(ended) = ended else {
        return Ok(false);
    };
    for statement in [SWEEP_DOCUMENTS, SWEEP_BUILD] {
        sqlx::query(statement)
            .bind(ended)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
