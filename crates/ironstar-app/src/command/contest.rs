//! The reaction of a caller to lost races for a stream.
//!
//! After the first lost race, the caller takes a turn ([`Turns`]). From then on no caller of
//! this process can append first. Other processes still can. Against these the caller tries
//! again for a limited time, with pauses after many lost races. Otherwise a process that writes
//! without end could block the caller for ever.

use std::time::Duration;

use ironstar_ports::StreamId;
use tokio::time::{Instant, sleep};

use super::CommandError;
use crate::backoff::Backoff;
use crate::turns::{TooManyWait, Turn, Turns};

/// The number of races that a caller may lose in a row without a pause.
const ATTEMPTS: u32 = 16;

/// The time that a caller goes on trying after that, counted from its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pauses after further lost races.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(64),
};

/// The races of one caller for some streams.
#[derive(Debug)]
pub(crate) struct Contest<'t> {
    turns: &'t Turns,
    aim: Aim,
    held: Vec<Turn>,
    lost: u32,
    since: Option<Instant>,
}

/// The purpose for which a caller needs the streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Aim {
    /// The caller changes them.
    Change,
    /// The caller requires that they do not change.
    Watch,
    /// The caller changes them, but gives up if another caller appends first.
    ChangeAtOnce,
}

impl<'t> Contest<'t> {
    /// A caller that changes a stream. If other callers take turns at the stream, the caller
    /// first waits for its own turn. A caller that names the stream's sequence (`is_named`)
    /// does not wait, because it is refused if another caller appends first.
    pub(super) async fn join(
        turns: &'t Turns,
        stream: &StreamId,
        is_named: bool,
    ) -> Result<Self, TooManyWait> {
        let mut contest = Self::new(turns, Aim::Change);
        if is_named {
            contest.aim = Aim::ChangeAtOnce;
        } else {
            contest.held.extend(turns.join(stream).await?);
        }
        Ok(contest)
    }

    /// A caller that changes many streams.
    pub(super) fn for_many(turns: &'t Turns) -> Self {
        Self::new(turns, Aim::Change)
    }

    /// A caller that depends on a stream and does not change it.
    pub(crate) fn watching(turns: &'t Turns) -> Self {
        Self::new(turns, Aim::Watch)
    }

    fn new(turns: &'t Turns, aim: Aim) -> Self {
        Self {
            turns,
            aim,
            held: Vec::new(),
            lost: 0,
            since: None,
        }
    }

    /// Counts a lost race, and waits for a turn at these streams. They must include all streams
    /// at which the caller has taken turns before.
    ///
    /// # Errors
    ///
    /// If too many callers wait, or other processes have kept the caller from its turn for too
    /// long.
    pub(crate) async fn lost<E>(&mut self, streams: &[StreamId]) -> Result<(), CommandError<E>> {
        self.lost += 1;
        if self.held.len() < streams.len() && self.aim != Aim::ChangeAtOnce {
            // Give up the held turns before waiting for others: a holder of those may wait for
            // these.
            self.held.clear();
            self.held = match (self.aim, streams) {
                (Aim::Watch, [stream]) => vec![self.turns.watch(stream).await?],
                (Aim::Watch | Aim::Change | Aim::ChangeAtOnce, _) => {
                    self.turns.take_all(streams.to_vec()).await?
                }
            };
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(pause) = pause_after(self.lost) else {
            return Ok(());
        };
        if since.elapsed() >= PATIENCE {
            return Err(CommandError::Contended {
                attempts: self.lost,
            });
        }
        sleep(pause).await;
        Ok(())
    }
}

impl<E> From<TooManyWait> for CommandError<E> {
    fn from(_: TooManyWait) -> Self {
        Self::Overloaded
    }
}

/// The pause after this many lost races; none after the first ones.
fn pause_after(lost: u32) -> Option<Duration> {
    Some(PAUSES.after(lost.checked_sub(ATTEMPTS)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses = [0, 15, 16, 17, 21, 22, 23, u32::MAX].map(pause_after);
        let expected = [
            None,
            None,
            Some(1),
            Some(2),
            Some(32),
            Some(64),
            Some(64),
            Some(64),
        ];
        assert_eq!(pauses, expected.map(|ms| ms.map(Duration::from_millis)));
    }
}
