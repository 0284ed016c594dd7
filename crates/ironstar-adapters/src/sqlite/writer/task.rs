//! The task that writes. It works in rounds.

mod attempt;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::StoreError;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::{Instant, Interval, interval_at, sleep_until};

use self::attempt::Locked;
use super::LOCK_ATTEMPT;
use super::guarded::Guarded;
use super::round::{Request, Round};
use crate::log::{BATCH, wait_for_more};
use crate::sqlite::checkpoint::Checkpoints;
use crate::sqlite::code::is_locked;
use crate::sqlite::database::SqliteDatabase;
use crate::sqlite::file::{FileError, Files};
use crate::sqlite::foresight::Foresight;
use crate::sqlite::path::DatabaseFile;
use crate::sqlite::refusal::Refusal;
use crate::sqlite::{builds, course};
use crate::system::SteadyClock;

/// The pause between two looks at the files, with or without commits.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The age up to which a look counts for the next commit. A look takes about 20 µs. An append
/// that follows a false index is refused, because the end of the log is compared. All other
/// changes need a new look.
const FRESH: Duration = Duration::from_millis(2);

/// The rest after a sweep of an ended build, as a multiple of the time that the sweep took.
const SWEEP_REST: u32 = 9;

/// The state of the task.
pub(super) struct Task {
    connection: Guarded,
    files: Files,
    checkpoints: Checkpoints,
    place: DatabaseFile,
    clock: Arc<SteadyClock>,
    retention: Duration,
    /// The steady time from which the next batch removes old commands; `None` before the first.
    commands_due: Option<OffsetDateTime>,
    foresight: Foresight,
    /// True if there may be ended builds.
    has_ended_builds: bool,
    /// The time of the next sweep of their documents.
    sweep_at: Instant,
    /// The timer of the next look. A permanent timer costs nothing in a round. A new timer
    /// for each round would wake the thread that waits for timers.
    look_due: Interval,
    /// The time at which this task last found the files in place.
    seen_at: Option<Instant>,
}

impl Task {
    pub(super) fn new(
        database: SqliteDatabase,
        clock: Arc<SteadyClock>,
        retention: Duration,
    ) -> Self {
        Self {
            connection: Guarded::new(database.writer, database.files.clone()),
            files: database.files,
            checkpoints: database.checkpoints,
            place: database.place,
            clock,
            retention,
            commands_due: None,
            foresight: Foresight::default(),
            has_ended_builds: true,
            sweep_at: Instant::now(),
            look_due: interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL),
            seen_at: None,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut taken = Vec::with_capacity(BATCH);
        let mut round = Round::default();
        match Foresight::look(&mut self.connection).await {
            Ok(foresight) => self.foresight = foresight,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of the log cannot be read; a restore before the next append is not detected"
            ),
        }
        loop {
            if round.len() == 0 {
                if !self.receive(&mut requests, &mut taken).await {
                    // All handles are gone, so no caller could receive the result.
                    let _ = self.close().await;
                    return;
                }
                wait_for_more(&requests, taken.len()).await;
            }
            while round.len() + taken.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                taken.push(request);
            }
            round.add(taken.drain(..));
            let is_fresh = self.seen_at.is_some_and(|at| at.elapsed() < FRESH);
            if !is_fresh || !round.has_only_appends() {
                self.look();
            }
            if let Err(Locked(why)) = self.carry_out(&mut round).await {
                give_up(&mut round, &why);
            }
            if round.len() > 0 {
                continue;
            }
            self.note_the_time().await;
            if let Some(mut answer) = round.close.take() {
                answer.send(self.close().await);
                return;
            }
            if !self.files.is_displaced() {
                let (connection, files) = (&mut self.connection, &self.files);
                self.checkpoints.after_batch(connection, files).await;
            }
        }
    }

    /// Makes sure that the files are in place.
    fn check(&mut self) -> Result<(), FileError> {
        self.files.check()?;
        self.seen_at = Some(Instant::now());
        Ok(())
    }

    /// Returns the connection, unless the last look found displaced files.
    fn checked(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.files.check_latched()?;
        Ok(&mut self.connection)
    }

    /// Looks at the files. If they are displaced, their data is saved before any caller gets
    /// a refusal.
    fn look(&mut self) {
        if let Err(FileError::Unknown { path, source }) = self.check() {
            tracing::warn!(%source, "cannot check the files of the database {}", path.display());
        }
        if self.files.is_displaced() && !self.files.is_rescued() {
            // The task does nothing else during the rescue. Other requests are refused
            // meanwhile, if the runtime has another thread.
            if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
                block_in_place(|| self.files.rescue());
            } else {
                self.files.rescue();
            }
        }
    }

    /// Looks at the files, stores the state of the clock, and retries a checkpoint that a
    /// reader has blocked.
    async fn look_now_and_then(&mut self) {
        self.look();
        self.note_the_time().await;
        if !self.files.is_displaced() {
            let (connection, files) = (&mut self.connection, &self.files);
            // The stored state of the clock makes the log longer, too.
            self.checkpoints.after_batch(connection, files).await;
            self.checkpoints.again(connection, files).await;
        }
        self.look_due.reset();
    }

    /// Saves the data of displaced files, or closes the connection.
    async fn close(mut self) -> Result<(), StoreError> {
        self.look();
        self.connection.close().await
    }

    /// Stores the state of the clock from time to time, so that the next server can continue
    /// from it. Writes nothing if the files are displaced, or if that is unknown.
    async fn note_the_time(&mut self) {
        let Some(course) = self.clock.to_store() else {
            return;
        };
        if self.check().is_err() {
            return;
        }
        if let Err(error) = course::save(&mut self.connection, course).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the state of the clock was not stored; the server tries again later"
            );
        }
    }

    /// Waits for requests. Meanwhile, it sweeps ended builds a little at a time, and looks at
    /// the files from time to time. Returns true if more requests may come.
    async fn receive(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        taken: &mut Vec<Request>,
    ) -> bool {
        while !requests.is_closed() {
            let files = self.files.clone();
            let receiving = requests.recv_many(taken, BATCH);
            // Due work comes first: under load, it would never get a turn otherwise.
            tokio::select! {
                biased;
                () = files.displaced(), if !self.files.is_rescued() => self.look(),
                () = sleep_until(self.sweep_at), if self.has_ended_builds => {
                    self.sweep_builds().await;
                }
                _ = self.look_due.tick() => self.look_now_and_then().await,
                received = receiving => return received > 0,
            }
        }
        requests.recv_many(taken, BATCH).await > 0
    }

    /// Sweeps a part of the ended builds, and then leaves the connection to requests for
    /// longer than the sweep took.
    async fn sweep_builds(&mut self) {
        let start = Instant::now();
        self.look();
        let swept = self.sweep_some().await;
        self.has_ended_builds = swept.unwrap_or_else(|error| {
            if is_locked(&error) {
                return true;
            }
            tracing::warn!(
                error = &error as &dyn Error,
                "ended builds were not swept; the server tries again with the next build"
            );
            false
        });
        self.sweep_at = Instant::now() + start.elapsed() * SWEEP_REST;
    }

    /// Sweeps once. Returns true if there may be more to sweep.
    async fn sweep_some(&mut self) -> Result<bool, StoreError> {
        let swept = builds::sweep(self.checked()?).await;
        swept.map_err(StoreError::unavailable)
    }
}

/// Refuses the requests whose callers have waited long enough for the lock, or would before
/// the end of another attempt.
fn give_up(round: &mut Round, why: &Arc<Refusal>) {
    let given_up = round.give_up(Instant::now() + LOCK_ATTEMPT, why);
    if given_up > 0 {
        tracing::error!(
            error = why as &dyn Error,
            requests = given_up,
            "requests were refused, because the database stayed locked"
        );
    }
}
