//! Exports and imports a PostgreSQL database.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;

use super::clock::DatabaseClock;
use super::connection::{Connector, Use};
use super::migrations;
use super::open_error::OpenError;
use super::url::PostgresUrl;
use crate::archive::{
    Archive, ArchiveError, ArchivedEvent, Belonging, EventRow, command, event, secret, session,
};
use crate::log::integer;
use crate::system::SystemClock;

const HEAD: &str = "SELECT coalesce(max(id), 0) FROM events";

const EVENTS: &str = "
    SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version, payload::text,
           metadata::text, created_at
    FROM events WHERE id > $1 ORDER BY id LIMIT $2";

/// Locks the log until the commit. Appends by servers wait for it.
const LOCK_LOG: &str = "SELECT lock_log()";

/// Inserts events, column by column.
const RESTORE: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
           payload::json, metadata::json, created_at
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[],
                $7::text[], $8::text[], $9::timestamptz[])
        AS event (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                  payload, metadata, created_at)";

const COMMANDS: &str = "SELECT key, request, answer::text, created_at FROM commands ORDER BY key";
const SESSIONS: &str = "SELECT id_hash, data::text, expires_at FROM sessions ORDER BY id_hash";
const SECRETS: &str = "SELECT name, value FROM secrets ORDER BY name";

const RESTORE_COMMAND: &str = "
    INSERT INTO commands (key, request, answer, created_at) VALUES ($1, $2, $3::json, $4)
    ON CONFLICT DO NOTHING";
const RESTORE_SESSION: &str = "
    INSERT INTO sessions (id_hash, data, expires_at) VALUES ($1, $2::json, $3)
    ON CONFLICT DO NOTHING";
const RESTORE_SECRET: &str = "
    INSERT INTO secrets (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Closes the log by a trigger, so that an open log pays nothing for the check.
const CLOSE: &str = "
    BEGIN;
    LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE;
    CREATE OR REPLACE FUNCTION refuse_events_in_closed_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the log is closed: it was moved by export --close. Use the new database';
    END $$;
    DROP TRIGGER IF EXISTS log_is_closed ON events;
    CREATE TRIGGER log_is_closed BEFORE INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_events_in_closed_log();
    COMMIT";
const IS_CLOSED: &str = "
    SELECT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'events'::regclass AND tgname = 'log_is_closed'
    )";
const REOPEN: &str = "DROP TRIGGER log_is_closed ON events";

/// An open database.
#[derive(Debug)]
pub(crate) struct PostgresArchive(PgConnection);

impl PostgresArchive {
    /// Opens a database, and brings its schema up to date.
    pub(crate) async fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        let clock = Arc::new(DatabaseClock::new(Arc::new(SystemClock)));
        let connector = Connector::new(url.clone(), clock)?;
        migrations::run(&connector).await?;
        Ok(Self(connector.connect(Use::Write).await?))
    }
}

#[async_trait]
impl Archive for PostgresArchive {
    async fn head(&mut self) -> Result<u64, ArchiveError> {
        let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut self.0).await?;
        Ok(head.unsigned_abs())
    }

    async fn events(&mut self, after: u64, limit: u32) -> Result<Vec<ArchivedEvent>, ArchiveError> {
        let rows: Vec<EventRow<OffsetDateTime>> = sqlx::query_as(EVENTS)
            .bind(integer(after))
            .bind(i64::from(limit))
            .fetch_all(&mut self.0)
            .await?;
        let rows = rows.into_iter();
        rows.map(|row| event(row, |time, _| Ok(time))).collect()
    }

    async fn restore(&mut self, events: &[ArchivedEvent]) -> Result<(), ArchiveError> {
        fn column<'a, T>(
            events: &'a [ArchivedEvent],
            of: impl Fn(&'a ArchivedEvent) -> T,
        ) -> Vec<T> {
            events.iter().map(of).collect()
        }
        let mut transaction = self.0.begin().await?;
        sqlx::raw_sql(LOCK_LOG).execute(&mut *transaction).await?;
        let query = sqlx::query(RESTORE)
            .bind(column(events, |event| integer(event.position)))
            .bind(column(events, |event| &*event.aggregate_type))
            .bind(column(events, |event| &*event.aggregate_id))
            .bind(column(events, |event| integer(event.sequence)))
            .bind(column(events, |event| &*event.event_type))
            .bind(column(events, |event| {
                i32::try_from(event.schema_version).unwrap_or(i32::MAX)
            }))
            .bind(column(events, |event| event.payload.get()))
            .bind(column(events, |event| event.metadata.get()))
            .bind(column(events, |event| event.created_at));
        query.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn belongings(&mut self) -> Result<Vec<Belonging>, ArchiveError> {
        let commands: Vec<(String, String, String, OffsetDateTime)> =
            sqlx::query_as(COMMANDS).fetch_all(&mut self.0).await?;
        let sessions: Vec<_> = sqlx::query_as(SESSIONS).fetch_all(&mut self.0).await?;
        let secrets: Vec<_> = sqlx::query_as(SECRETS).fetch_all(&mut self.0).await?;
        let commands = commands
            .into_iter()
            .map(|(key, request, answer, created_at)| command((key, request, answer), created_at));
        let sessions = sessions.into_iter().map(session);
        let secrets = secrets.into_iter().map(|row| Ok(secret(row)));
        commands.chain(sessions).chain(secrets).collect()
    }

    async fn restore_belongings(&mut self, belongings: &[Belonging]) -> Result<(), ArchiveError> {
        let mut transaction = self.0.begin().await?;
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
                    .bind(created_at),
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
