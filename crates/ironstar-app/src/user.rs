//! The user's use cases: sign-in and sign-out.

use ironstar_domain::{
    Aggregate, GuestId, IdentityEvent, IdentityId, IdentityState, Principal, Profile, UserCommand,
    UserError, UserId, UserState,
};

use crate::command::{CommandContext, CommandError, CommandHandler};

/// Runs the commands on users.
#[derive(Clone, Debug)]
pub struct UserService {
    commands: CommandHandler,
}

impl UserService {
    /// A service on this handler.
    #[must_use]
    pub fn new(commands: CommandHandler) -> Self {
        Self { commands }
    }

    /// Signs in the user with this identity, which the calling code has verified. At the first
    /// sign-in the user is registered. Even after concurrent sign-ins, an identity belongs to
    /// one user. The user gets all that the guest owns: see
    /// [`HandOverGuests`](crate::HandOverGuests).
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute`].
    pub async fn sign_in(
        &self,
        identity: &IdentityId,
        profile: &Profile,
        guest: GuestId,
        context: &CommandContext,
    ) -> Result<UserId, CommandError<UserError>> {
        let mut contest = self.commands.watching();
        loop {
            let outcome = self.try_to_sign_in(identity, profile, guest, context);
            match outcome.await {
                Err(CommandError::OtherChanged { stream })
                    if stream.aggregate_type == IdentityState::TYPE =>
                {
                    contest.lost(&[stream]).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_to_sign_in(
        &self,
        identity: &IdentityId,
        profile: &Profile,
        guest: GuestId,
        context: &CommandContext,
    ) -> Result<UserId, CommandError<UserError>> {
        let profile = profile.clone();
        let known = self.commands.see::<IdentityState, _>(identity).await?;
        if let IdentityState::Linked { user } = known.state {
            let context = context.clone().on_behalf_of(user);
            let command = UserCommand::SignIn { profile, guest };
            self.commands
                .execute::<UserState>(&user, &command, &context)
                .await?;
            return Ok(user);
        }
        let user = UserId::from(self.commands.next_id());
        let mut context = context.clone().on_behalf_of(user);
        let linked = IdentityEvent::Linked { user };
        let link =
            self.commands
                .first_event::<IdentityState>(identity, &linked, &context.origin)?;
        context.also.push(link);
        let command = UserCommand::Register {
            identity: identity.clone(),
            profile,
            guest,
        };
        self.commands
            .execute::<UserState>(&user, &command, &context)
            .await?;
        Ok(user)
    }

    /// Records that a user has signed out on one device.
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute`].
    pub async fn sign_out(
        &self,
        user: UserId,
        context: &CommandContext,
    ) -> Result<(), CommandError<UserError>> {
        self.commands
            .execute::<UserState>(&user, &UserCommand::SignOut, context)
            .await?;
        Ok(())
    }
}

impl CommandContext {
    /// The same context, with a user as the actor that has just proved its identity.
    fn on_behalf_of(mut self, user: UserId) -> Self {
        self.origin.actor = Some(Principal::User(user).to_string());
        self
    }
}
