//! Exports and imports a SQLite file.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::connection::connect;
use super::migrations;
use super::open_error::OpenError;
use super::path::DatabaseFile;
use super::url::SqliteUrl;
use crate::archive::{
    Archive, ArchiveError, ArchivedEvent, Belonging, EventRow, command, event, secret, session,
};
use crate::log::integer;

const HEAD: &str = "SELECT coalesce(max(id), 0) FROM events";

const EVENTS: &str = "
    SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version, payload, metadata,
           created_at
    FROM events WHERE id > ?1 ORDER BY id LIMIT ?2";

/// Inserts events (?1), given as JSON arrays in column order.
const RESTORE: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           value ->> 6, value ->> 7, value ->> 8
    FROM jsonb_each(?1)";

const COMMANDS: &str = "SELECT key, request, answer, created_at FROM commands ORDER BY key";
const SESSIONS: &str = "SELECT id_hash, data, expires_at FROM sessions ORDER BY id_hash";
const SECRETS: &str = "SELECT name, value FROM secrets ORDER BY name";

const RESTORE_COMMAND: &str = "
    INSERT INTO commands (key, request, answer, created_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";
const RESTORE_SESSION: &str = "
    INSERT INTO sessions (id_hash, data, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const RESTORE_SECRET: &str = "
    INSERT INTO secrets (name, value) VALUES (?1, ?2)
    ON CONFLICT DO UPDATE SET value = excluded.value";

/// Closes the log by a trigger, so that an open log pays nothing for the check.
const CLOSE: &str = "
    CREATE TRIGGER IF NOT EXISTS log_is_closed BEFORE INSERT ON events
    BEGIN
        SELECT RAISE(ABORT, 'the log is closed: it was moved by export --close. Use the new database');
    END";
const IS_CLOSED: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = 'log_is_closed')";
const REOPEN: &str = "DROP TRIGGER log_is_closed";

/// The same for an insertion, as a JSON array.
#[derive(Serialize)]
struct RestoredRow<'a>(
    u64,
    &'a str,
    &'a str,
    u64,
    &'a str,
    u32,
    &'a str,
    &'a str,
    String,
);

/// An open file.
#[derive(Debug)]
pub(crate) struct SqliteArchive(SqliteConnection);

impl SqliteArchive {
    /// Opens a file, or creates it, and brings its schema up to date.
    pub(crate) async fn open(url: &SqliteUrl) -> Result<Self, OpenError> {
        let place = DatabaseFile::find(url)?;
        let mut connection = connect(&place).await?;
        migrations::run(&place, &mut connection).await?;
        Ok(Self(connection))
    }
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn head(&mut self) -> Result<u64, ArchiveError> {
        let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut self.0).await?;
        Ok(head.unsigned_abs())
    }

    async fn events(&mut self, after: u64, limit: u32) -> Result<Vec<ArchivedEvent>, ArchiveError> {
        let rows: Vec<EventRow<String>> = sqlx::query_as(EVENTS)
            .bind(integer(after))
            .bind(limit)
            .fetch_all(&mut self.0)
            .await?;
        let time = |text: String, id| time(&text, || format!("the event at position {id}"));
        rows.into_iter().map(|row| event(row, time)).collect()
    }

    async fn restore(&mut self, events: &[ArchivedEvent]) -> Result<(), ArchiveError> {
        let rows = events.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let rows = serde_json::to_string(&rows).map_err(ArchiveError::Rows)?;
        let query = sqlx::query(RESTORE).bind(rows);
        query.execute(&mut self.0).await?;
        Ok(())
    }

    async fn belongings(&mut self) -> Result<Vec<Belonging>, ArchiveError> {
        let commands: Vec<(String, String, String, String)> =
            sqlx::query_as(COMMANDS).fetch_all(&mut self.0).await?;
        let sessions: Vec<_> = sqlx::query_as(SESSIONS).fetch_all(&mut self.0).await?;
        let secrets: Vec<_> = sqlx::query_as(SECRETS).fetch_all(&mut self.0).await?;
        let commands = commands
            .into_iter()
            .map(|(key, request, answer, created_at)| {
                let time = time(&created_at, || format!("the command {key:?}"))?;
                command((key, request, answer), time)
            });
        let sessions = sessions.into_iter().map(session);
        let secrets = secrets.into_iter().map(|row| Ok(secret(row)));
        commands.chain(sessions).chain(secrets).collect()
    }

    async fn restore_belongings(&mut self, belongings: &[Belonging]) -> Result<(), ArchiveError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        for belonging in belongings {
            let query = match belonging {
                Belonging::Command {
                    key,
                    request,
                    answer,
                    created_at,
                } => sqlx::query(RESTORE_COMMAND)
                    .bind(key)
                    .bind(request)
                    .bind(answer.get())
                    .bind(created_at.format(&Rfc3339)?),
                Belonging::Session {
                    id_hash,
                    data,
                    expires_at,
                } => sqlx::query(RESTORE_SESSION)
                    .bind(id_hash)
                    .bind(data.get())
                    .bind(expires_at),
                Belonging::Secret { name, value } => {
                    sqlx::query(RESTORE_SECRET).bind(name).bind(value)
                }
            };
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn close_log(&mut self) -> Result<(), ArchiveError> {
        sqlx::raw_sql(CLOSE).execute(&mut self.0).await?;
        Ok(())
    }

    async fn reopen_log(&mut self) -> Result<bool, ArchiveError> {
        let is_closed: bool = sqlx::query_scalar(IS_CLOSED).fetch_one(&mut self.0).await?;
        if is_closed {
            sqlx::raw_sql(REOPEN).execute(&mut self.0).await?;
        }
        Ok(is_closed)
    }
}

fn row(event: &ArchivedEvent) -> Result<RestoredRow<'_>, ArchiveError> {
    let text: fn(&RawValue) -> &str = RawValue::get;
    Ok(RestoredRow(
        event.position,
        &event.aggregate_type,
        &event.aggregate_id,
        event.sequence,
        &event.event_type,
        event.schema_version,
        text(&event.payload),
        text(&event.metadata),
        event.created_at.format(&Rfc3339)?,
    ))
}

fn time(text: &str, what: impl FnOnce() -> String) -> Result<OffsetDateTime, ArchiveError> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|source| ArchiveError::NotATime {
        what: what(),
        source,
    })
}
