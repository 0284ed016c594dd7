//! The task that appends.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{Append, AppendError, StoreError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Request;
use crate::log::{Answers, BATCH, wait_for_more};
use crate::postgres::batch::{self, BatchError, Trust};
use crate::postgres::connection::{ANSWER, Connector, Use, close};
use crate::postgres::open_error::{self, OpenError, is_connection_lost};

/// A connection that was unused for this long is tried before it is used. Otherwise the first
/// append after a restart of the database would fail.
const TRY_AFTER: Duration = Duration::from_secs(1);
const TRIAL: Duration = Duration::from_secs(1);

/// The largest number of events in one commit of several appends. They take about half a second,
/// so that a commit ends long before the time limit for an answer.
const EVENTS: usize = 20_000;

/// The pause between two attempts to connect. Appends in between get the reason of the last one.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// The reasons why a batch of appends failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("the PostgreSQL database did not answer within 15 s. Check its load and its locks")]
    Unanswered,
}

/// The state of the task.
pub(super) struct Task {
    connector: Connector,
    /// `None` before the first append, and after the connection was lost.
    connection: Option<PgConnection>,
    used_at: Instant,
    /// The last failed attempt to connect.
    refused: Option<(Instant, Arc<Failure>)>,
    trust: Trust,
}

impl Task {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            connection: None,
            used_at: Instant::now(),
            refused: None,
            trust: Trust::default(),
        }
    }

    /// Commits requests until the writer is closed, or all its handles are gone.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        closing: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                received = requests.recv_many(&mut batch, BATCH) => if received == 0 {
                    break;
                },
                () = closing.cancelled(), if !requests.is_closed() => {
                    requests.close();
                    continue;
                }
            }
            wait_for_more(&requests, batch.len()).await;
            while batch.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                batch.push(request);
            }
            while !batch.is_empty() {
                let part = batch.drain(..part_of(&batch));
                self.carry_out(part.collect()).await;
            }
        }
        if let Some(connection) = self.connection {
            close(connection).await;
        }
    }

    /// Commits the appends and answers all callers. If the database refuses the whole batch,
    /// each append is tried alone, so that only the append to blame fails.
    async fn carry_out(&mut self, requests: Vec<Request>) {
        let (appends, answers): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|Request { append, answer }| (append, answer))
            .unzip();
        let outcome = match self.commit(&appends).await {
            Err(failure) if appends.len() > 1 && is_caused_by_data(&failure) => {
                let mut outcomes = Vec::with_capacity(appends.len());
                for append in &appends {
                    let outcome = self.commit(std::slice::from_ref(append)).await;
                    outcomes.push(match outcome {
                        Ok(mut answer) => answer.remove(0),
                        Err(failure) => Err(refusal(&failure)),
                    });
                }
                Ok(outcomes)
            }
            outcome => outcome,
        };
        let outcomes: Box<dyn Iterator<Item = _> + Send> = match outcome {
            Ok(outcomes) => Box::new(outcomes.into_iter()),
            Err(failure) => {
                tracing::error!(
                    error = &failure as &dyn Error,
                    appends = appends.len(),
                    "a batch of appends failed"
                );
                Box::new(iter::repeat_with(move || Err(refusal(&failure))))
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // The caller may have gone away. The commit has happened all the same.
            let _ = answer.send(outcome);
        }
    }

    /// Commits the appends in one transaction. After an error, the connection is used again only
    /// if the database has refused the appends over it.
    async fn commit(&mut self, appends: &[Append]) -> Result<Answers, Arc<Failure>> {
        let mut connection = self.connected().await?;
        let seen = &self.connector.seen;
        let committing = batch::commit(&mut connection, appends, seen, &mut self.trust);
        let outcome = match timeout(ANSWER, committing).await {
            Ok(outcome) => outcome.map_err(Failure::from),
            Err(_) => Err(Failure::Unanswered),
        };
        let outcome = outcome.map_err(Arc::new);
        if outcome.as_ref().is_err_and(|failure| !is_refused(failure)) {
            drop(connection);
        } else {
            self.used_at = Instant::now();
            self.connection = Some(connection);
        }
        outcome
    }

    /// Returns the connection, or a new one.
    async fn connected(&mut self) -> Result<PgConnection, Arc<Failure>> {
        self.connector
            .seen
            .check()
            .map_err(|lost| Arc::new(OpenError::from(lost).into()))?;
        if let Some(mut connection) = self.connection.take() {
            if self.used_at.elapsed() < TRY_AFTER {
                return Ok(connection);
            }
            if let Ok(Ok(())) = timeout(TRIAL, connection.ping()).await {
                return Ok(connection);
            }
        }
        if let Some((at, why)) = &self.refused
            && at.elapsed() < CONNECT_PAUSE
        {
            return Err(Arc::clone(why));
        }
        match self.connector.connect(Use::Write).await {
            Ok(connection) => {
                self.refused = None;
                Ok(connection)
            }
            Err(error) => {
                let why = Arc::new(Failure::from(error));
                self.refused = Some((Instant::now(), Arc::clone(&why)));
                Err(why)
            }
        }
    }
}

/// Returns the number of the first requests that are committed together: one, or as many as do not
/// have too many events.
fn part_of(requests: &[Request]) -> usize {
    let mut events = 0;
    let fit = requests.iter().take_while(|request| {
        let parts = request.append.streams.iter();
        events += parts.map(|part| part.events.len()).sum::<usize>();
        events <= EVENTS
    });
    fit.count().max(1)
}

/// Returns true if the database has refused a batch over a connection that can still be used.
fn is_refused(failure: &Arc<Failure>) -> bool {
    match &**failure {
        Failure::Batch(BatchError::Database(error)) => {
            error.as_database_error().is_some() && !is_connection_lost(error)
        }
        Failure::Batch(_) | Failure::Open(_) | Failure::Unanswered => false,
    }
}

/// Returns true if the data of the appends is to blame.
fn is_caused_by_data(failure: &Arc<Failure>) -> bool {
    match &**failure {
        Failure::Batch(BatchError::Database(error)) => open_error::is_caused_by_data(error),
        Failure::Batch(_) | Failure::Open(_) | Failure::Unanswered => false,
    }
}

fn refusal(failure: &Arc<Failure>) -> AppendError {
    StoreError::unavailable(Arc::clone(failure)).into()
}

#[cfg(test)]
mod tests {
    use ironstar_ports::{ExpectedSequence, Metadata, NewEvent, Payload, StreamId};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn large_appends_are_committed_apart() {
        let event = NewEvent {
            event_type: "happened".to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata::new(Uuid::nil()),
        };
        let request = |events: usize| Request {
            append: Append::to_stream(
                StreamId::new("Test", "1"),
                ExpectedSequence::Any,
                vec![event.clone(); events],
            ),
            answer: oneshot::channel().0,
        };
        for (events, part) in [
            (&[1, 2, 3][..], 3),
            (&[EVENTS, 1], 1),
            (&[EVENTS - 1, 1, 1], 2),
            (&[EVENTS + 1, 1], 1),
        ] {
            let requests: Vec<_> = events.iter().map(|events| request(*events)).collect();
            assert_eq!(part_of(&requests), part, "{events:?}");
        }
    }
}
