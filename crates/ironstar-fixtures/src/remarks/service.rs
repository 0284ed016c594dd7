//! The commands on remarks, which need the right to edit the note.

use futures::FutureExt;
use ironstar_app::{
    Accepted, AcceptedOnAll, Caller, CommandContext, CommandError, CommandHandler, Pass,
};
use ironstar_domain::{Access, Owned};
use uuid::Uuid;

use crate::note::NoteState;
use crate::remark::{RemarkCommand, RemarkError, RemarkState};

/// Runs the commands on remarks. The caller needs the right to edit the note.
#[derive(Clone, Debug)]
pub struct RemarkService(pub CommandHandler);

impl RemarkService {
    /// Runs a command on a remark.
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute`].
    pub async fn execute(
        &self,
        id: Uuid,
        command: &RemarkCommand,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<RemarkError>> {
        let guard = || self.guard(id, command, &context.caller).boxed();
        let commands = &self.0;
        let executed = commands.execute_guarded::<RemarkState>(&id, command, context, &guard);
        executed.await
    }

    /// Closes these remarks on a note, all in one append. Remarks that are closed already stay
    /// as they are.
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute_on_all`], and the errors of `ids`.
    pub async fn close_all<E: From<CommandError<RemarkError>>>(
        &self,
        note: Uuid,
        ids: impl Future<Output = Result<Vec<Uuid>, E>>,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, E> {
        let guard = || {
            self.right(note, RemarkError::NoSuchNote, &context.caller)
                .boxed()
        };
        let (commands, close) = (&self.0, RemarkCommand::Close);
        let closed =
            commands.execute_guarded_on_all::<RemarkState, E>(ids, &close, context, &guard);
        closed.await
    }

    /// The guard of a command on a remark: its note, which never changes.
    async fn guard(
        &self,
        id: Uuid,
        command: &RemarkCommand,
        caller: &Caller,
    ) -> Result<Pass<RemarkError>, CommandError<RemarkError>> {
        use RemarkError as E;

        if let RemarkCommand::Create { note, .. } = command {
            return self.right(*note, E::NoSuchNote, caller).await;
        }
        let remark: RemarkState = self.0.remembered(&id).await?;
        match remark.note() {
            Some(note) => self.right(note, E::NotFound, caller).await,
            // A concurrent command may be creating the remark, on any note.
            None => Ok(Pass::refused(E::NotFound)),
        }
    }

    /// The caller's right to edit a note, which lasts while the note does not change. `hidden` is
    /// the refusal for a caller who may not know of the note.
    async fn right(
        &self,
        note: Uuid,
        hidden: RemarkError,
        caller: &Caller,
    ) -> Result<Pass<RemarkError>, CommandError<RemarkError>> {
        if NoteState::open_to_all(&note).is_some() {
            return Ok(Pass::free());
        }
        let seen = self.0.see::<NoteState, _>(&note).await?;
        match caller.access(&note, &seen.state) {
            Access::None => Err(CommandError::Refused(hidden)),
            Access::Read => Err(CommandError::Refused(RemarkError::ReadOnly)),
            Access::Edit | Access::Own => Ok(Pass::while_unchanged(&seen.head)),
        }
    }
}
