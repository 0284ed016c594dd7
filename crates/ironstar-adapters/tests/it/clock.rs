//! Tests that a wrong clock does not affect sessions and command keys.

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::sqlite::{SqliteDatabase, SqliteEventStore};
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_ports::{
    Append, Clock, CommandRecord, EventStore, ExpectedSequence, Metadata, NewEvent, Payload,
    SessionHash, SessionStore, StoredSession, StreamId,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

const RIGHT: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);
const SESSION: SessionHash = SessionHash::new([1; 32]);

/// The time-dependent parts of a server.
struct Server {
    store: SqliteEventStore,
    clock: Arc<dyn Clock>,
}

impl Server {
    async fn start(directory: &TempDir, clock: &Arc<ManualClock>) -> Self {
        let path = directory.path().join("test.db");
        let url = format!("sqlite:{}", path.display());
        let database = SqliteDatabase::open(&url.parse().expect("an address")).await;
        let store = SqliteEventStore::new(database.expect("opened"), clock.clone(), DAY);
        let clock = store.clock();
        Self { store, clock }
    }

    async fn stop(self) {
        self.store.close().await.expect("closed");
    }

    /// Creates a session for a visitor.
    async fn begin_session(&self) {
        let session = StoredSession {
            id: SESSION,
            data: Payload::from_text("{}".to_owned()).expect("JSON"),
            expires_at: self.clock.steady() + MONTH,
        };
        let created = self.store.sessions().create(session).await;
        created.expect("stored");
    }

    /// Sweeps expired sessions, and returns true if the session still exists.
    async fn has_session(&self) -> bool {
        let now = self.clock.steady();
        let sessions = self.store.sessions();
        while sessions.sweep(now).await.expect("swept") > 0 {}
        let session = sessions.load(&SESSION, now).await;
        session.expect("read").is_some()
    }

    /// Executes a command with a key.
    async fn carry_out(&self, key: &str) {
        let event = NewEvent {
            event_type: "happened".to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata::new(Uuid::nil()),
        };
        let stream = StreamId::new("Test", key);
        let mut append = Append::to_stream(stream, ExpectedSequence::NoStream, vec![event]);
        let key = key.parse().expect("a key");
        append.command = Some(CommandRecord::new(key, "request".to_owned()));
        self.store.append(append).await.expect("appended");
    }

    async fn knows(&self, key: &str) -> bool {
        let key = key.parse().expect("a key");
        self.store.outcome(&key).await.expect("read").is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_stored_in_1970_survives_the_correction_of_the_clock() {
    let directory = TempDir::new().expect("a directory");
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
    let server = Server::start(&directory, &clock).await;
    server.begin_session().await;
    server.carry_out("first").await;
    clock.pass(HOUR);
    server.carry_out("second").await;
    clock.set(RIGHT);
    server.carry_out("third").await;
    clock.pass(HOUR);
    server.carry_out("fourth").await;
    assert!(server.has_session().await);
    assert!(server.knows("first").await);
    server.stop().await;
    // The next server finds all data, and lets it expire at the right time.
    let server = Server::start(&directory, &clock).await;
    assert!(server.has_session().await);
    assert!(server.knows("first").await);
    clock.pass(DAY);
    server.carry_out("fifth").await;
    assert!(!server.knows("first").await);
    clock.pass(MONTH);
    assert!(!server.has_session().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_corrected_while_no_server_runs_makes_nothing_expire() {
    let directory = TempDir::new().expect("a directory");
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
    let server = Server::start(&directory, &clock).await;
    server.begin_session().await;
    server.carry_out("first").await;
    server.stop().await;
    clock.set(RIGHT);
    let server = Server::start(&directory, &clock).await;
    server.carry_out("second").await;
    clock.pass(HOUR);
    server.carry_out("third").await;
    assert!(server.has_session().await);
    assert!(server.knows("first").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_wrong_for_a_while_makes_nothing_expire() {
    let directory = TempDir::new().expect("a directory");
    let clock = ManualClock::at(RIGHT);
    let server = Server::start(&directory, &clock).await;
    server.begin_session().await;
    server.carry_out("first").await;
    for (number, wrong) in [RIGHT + MONTH * 2, OffsetDateTime::UNIX_EPOCH]
        .into_iter()
        .enumerate()
    {
        clock.set(wrong);
        server.carry_out(&format!("wrong-{number}")).await;
        assert!(server.has_session().await, "{wrong}");
        clock.pass(HOUR);
        server.carry_out(&format!("still-wrong-{number}")).await;
        assert!(server.has_session().await, "{wrong}");
        clock.set(RIGHT + HOUR * 2);
        server.carry_out(&format!("right-{number}")).await;
        assert!(server.has_session().await, "{wrong}");
        assert!(server.knows("first").await, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_without_a_stored_clock_continues_from_its_newest_event() {
    let directory = TempDir::new().expect("a directory");
    let clock = ManualClock::at(RIGHT);
    let server = Server::start(&directory, &clock).await;
    server.begin_session().await;
    server.carry_out("first").await;
    server.stop().await;
    // An older database does not have this row.
    let path = directory.path().join("test.db");
    let mut raw = crate::sqlite::raw(&path).await;
    let deleted = sqlx::query("DELETE FROM clock").execute(&mut raw).await;
    deleted.expect("deleted");
    clock.set(OffsetDateTime::UNIX_EPOCH);
    let server = Server::start(&directory, &clock).await;
    server.carry_out("second").await;
    clock.set(RIGHT + DAY);
    clock.pass(HOUR * 23);
    server.carry_out("third").await;
    assert!(server.has_session().await);
    assert!(server.knows("first").await);
    clock.pass(HOUR * 2);
    server.carry_out("fourth").await;
    assert!(
        !server.knows("first").await,
        "the key expires at the right time"
    );
}
