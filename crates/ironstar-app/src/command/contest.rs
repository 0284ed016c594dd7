//! What a caller does about others that get in first.
//!
//! After the first lost race, the caller takes a turn ([`Turns`]): no caller of this
//! process gets in first any more. Other processes still may. Against these the caller
//! tries again for a while, with pauses once that has been in vain for long; a process
//! that writes without end could keep it from its turn otherwise.

use std::time::Duration;

use ironstar_ports::StreamId;
use tokio::time::{Instant, sleep};

use super::CommandError;
use crate::turns::{TooManyWait, Turn, Turns};

/// How many races a caller may lose in a row without a pause.
const ATTEMPTS: u32 = 16;

/// How long a caller goes on after that, counted from its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// The races of one caller for some streams.
#[derive(Debug)]
pub(crate) struct Contest<'t> {
    turns: &'t Turns,
    aim: Aim,
    held: Vec<Turn>,
    lost: u32,
    since: Option<Instant>,
}

/// What a caller wants of the streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Aim {
    /// To change them.
    Change,
    /// That nothing happens to them.
    Watch,
    /// To change them, unless another caller gets in first.
    ChangeAtOnce,
}

impl<'t> Contest<'t> {
    /// A caller that changes a stream. If others take turns at it, the caller waits for
    /// its own first; unless it says where the stream must be (`is_named`), because it is
    /// refused when another caller gets in first.
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

    /// Takes note of a lost race, and waits for a turn at these streams, which include all
    /// that the caller has taken turns at before.
    ///
    /// # Errors
    ///
    /// If too many callers wait, or other processes have kept the caller from its turn.
    pub(crate) async fn lost<E>(&mut self, streams: &[StreamId]) -> Result<(), CommandError<E>> {
        self.lost += 1;
        if self.held.len() < streams.len() && self.aim != Aim::ChangeAtOnce {
            // Before others are waited for, what they may wait for is given up.
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

/// How long to wait after so many lost races; not at all after the first ones.
fn pause_after(lost: u32) -> Option<Duration> {
    let doublings = lost.checked_sub(ATTEMPTS)?.min(16);
    Some(LONGEST_PAUSE.min(Duration::from_millis(1 << doublings)))
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
