//! Remarks that no command has changed for a while are closed.

use ironstar_app::process::{Executor, NotExecuted, Process, Reaction, State};
use ironstar_app::projection::{FoldError, Registered};
use ironstar_app::{CommandContext, CommandError, CommandHandler, Feature, ProcessManager, decode};
use ironstar_domain::Aggregate;
use ironstar_ports::{Envelope, Sequence};
use uuid::Uuid;

use crate::remark::{RemarkCommand, RemarkEvent, RemarkState};

/// The process manager, as it registers with the application.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<Process<Closing>>()],
    audiences: &[],
    hand_over: None,
};

/// Closes a remark after a period without a change. Its command names the remark and the sequence
/// of the event that it reacts to, because a later event refuses the command. Its state is the number
/// of events of each remark.
#[derive(Debug)]
pub struct Closing;

/// Runs the commands of [`Closing`].
#[derive(Debug)]
pub struct Closer(pub CommandHandler);

impl ProcessManager for Closing {
    const NAME: &'static str = "closing";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[RemarkState::TYPE];

    type State = u64;
    type Command = (Uuid, Sequence);

    fn react(
        event: &Envelope,
        state: &mut State<'_, u64, Self::Command>,
    ) -> Result<Reaction<Self::Command>, FoldError> {
        let (id, happened) = decode::<RemarkState>(event)?;
        let timer = id.to_string();
        let events = state.get(&timer)?.copied().unwrap_or_default() + 1;
        state.put(&timer, events)?;
        Ok(match happened {
            RemarkEvent::Created { .. } | RemarkEvent::Rewritten { .. } | RemarkEvent::Reopened => {
                let close = (id, event.sequence);
                Reaction::nothing().and_later(timer, event.created_at, close)
            }
            RemarkEvent::Closed | RemarkEvent::Deleted => Reaction::nothing().and_never(timer),
        })
    }
}

impl Executor<(Uuid, Sequence)> for Closer {
    async fn execute(
        &self,
        (remark, sequence): &(Uuid, Sequence),
        context: &CommandContext,
    ) -> Result<(), NotExecuted> {
        let close = RemarkCommand::Close;
        let context = CommandContext {
            expected: Some(*sequence),
            ..context.clone()
        };
        let closed = self.0.execute::<RemarkState>(remark, &close, &context);
        match closed.await {
            Ok(_) => Ok(()),
            // A command has changed the remark first.
            Err(error @ CommandError::Unexpected { .. }) => {
                Err(NotExecuted::Refused(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
