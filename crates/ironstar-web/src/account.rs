//! Who a visitor is: to sign in by somebody else who knows them, and to sign out.
//!
//! The protocol is OAuth 2.0 with PKCE (RFC 6749, RFC 7636), as RFC 9700 has it. What
//! a sign-in needs to be finished is kept under a hash of its `state`, is good for
//! ten minutes, for the browser that began it, and once. Nothing about a session
//! changes unless all went well; then the visitor gets new bits for their cookie. From
//! there on it is done to its end, also if the browser has gone.
//!
//! What a guest has made becomes the user's when they sign in, or, if that cannot be done
//! just then, in a while; at the latest when they sign out. If it cannot be done even
//! then, they stay the guest that they were, so that nothing is lost.
//!
//! Here is the one GET that changes something, because the protocol has it so. What
//! protects it is `state`: no other site knows it.

pub(crate) mod news;
mod refusals;
mod sign_in;
pub(crate) mod theme;
mod who;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use ironstar_app::finish::finish;
use ironstar_app::{CommandContext, ListService, UserService};
use ironstar_domain::{GuestId, IdentityId, Principal, Profile, UserId};
use ironstar_ports::IdentityProvider;
use tokio::sync::Semaphore;

use crate::account::news::PrivateNews;
use crate::edge::problem::Problem;
use crate::edge::rate::Cost;
use crate::session::origin::RequestOrigin;
use crate::session::{Open, Session, SessionData, SignedIn};

/// How many sign-ins are finished at once. Each waits for the provider, and a slow provider
/// must not keep more and more of them waiting.
const FINISHING: usize = 32;

/// How long lists are waited for that are to be handed over.
const CATCH_UP: Duration = Duration::from_secs(2);

/// After how long that is tried again, then after twice as long, and so on; and how
/// often.
const PAUSE: Duration = Duration::from_secs(1);
const TRIES: u32 = 10;

/// What the handlers work on.
#[derive(Debug)]
pub(crate) struct Accounts {
    provider: Option<Arc<dyn IdentityProvider>>,
    users: UserService,
    lists: ListService,
    news: PrivateNews,
    finishing: Semaphore,
}

/// The routes of this module.
pub(crate) fn routes(accounts: Accounts) -> Router {
    Router::new()
        .merge(sign_in::routes())
        .route("/sign-out", post(sign_out))
        .route("/api/session", get(who::who).post(who::begin_session))
        .with_state(Arc::new(accounts))
}

impl Accounts {
    pub(crate) fn new(
        provider: Option<Arc<dyn IdentityProvider>>,
        users: UserService,
        lists: ListService,
        news: PrivateNews,
    ) -> Self {
        Self {
            provider,
            users,
            lists,
            news,
            finishing: Semaphore::new(FINISHING),
        }
    }

    fn provider(&self) -> Result<&dyn IdentityProvider, Problem> {
        self.provider.as_deref().ok_or_else(Problem::no_such_page)
    }

    /// Makes a visitor a user, and gives that user what the visitor has made.
    async fn sign_in(
        self: Arc<Self>,
        session: Session,
        before: Open,
        (identity, profile): (IdentityId, Profile),
        origin: RequestOrigin,
    ) -> Result<(), Problem> {
        let id = self
            .users
            .sign_in(&identity, &profile, &origin.context())
            .await?;
        let name = profile.display_name().clone();
        let guest = before.data.guest;
        let data = before.data.signed_in(SignedIn { id, name });
        let context = CommandContext {
            caller: data.caller(),
            ..origin.context()
        };
        let replaced = session.replace(before.id, data).await?;
        replaced.ok_or_else(refusals::unknown_sign_in)?;
        self.news.has_ended(before.id).await;
        // Not before: what the visitor makes until then is the guest's.
        if !self.hand_over(guest, id, &context).await {
            tokio::spawn(self.keep_handing_over(guest, id, context));
        }
        Ok(())
    }

    async fn sign_out(
        self: Arc<Self>,
        session: Session,
        before: Open,
        user: UserId,
        origin: RequestOrigin,
    ) -> Result<(), Problem> {
        let guest = before.data.guest;
        let guest = if self.hand_over(guest, user, &origin.context()).await {
            session.next_guest()
        } else {
            // Nobody else could ever be that guest again, and have those lists.
            guest
        };
        let after = SessionData {
            theme: before.data.theme,
            ..SessionData::of(guest)
        };
        if session.replace(before.id, after).await?.is_none() {
            return Ok(());
        }
        self.news.has_ended(before.id).await;
        if let Err(error) = self.users.sign_out(user, &origin.context()).await {
            // They are signed out all the same.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %user,
                "that a user has signed out was not noted"
            );
        }
        Ok(())
    }

    /// Makes a guest's lists a user's. Whether they are now.
    async fn hand_over(&self, from: GuestId, to: UserId, context: &CommandContext) -> bool {
        let from = Principal::Guest(from);
        let handed_over = self.lists.hand_over_all(from, to.into(), CATCH_UP, context);
        let handed_over = handed_over.await;
        if let Err(error) = &handed_over {
            tracing::error!(
                error = error as &dyn std::error::Error,
                %from,
                %to,
                "the lists of somebody who has signed in are not handed over yet"
            );
        }
        handed_over.is_ok()
    }

    /// The same, in a while, and again.
    async fn keep_handing_over(
        self: Arc<Self>,
        from: GuestId,
        to: UserId,
        context: CommandContext,
    ) {
        for tries in 0..TRIES {
            tokio::time::sleep(PAUSE * 2_u32.pow(tries)).await;
            if self.hand_over(from, to, &context).await {
                return;
            }
        }
    }
}

/// `POST /sign-out`
async fn sign_out(
    _: Cost,
    State(accounts): State<Arc<Accounts>>,
    session: Session,
    origin: RequestOrigin,
) -> Result<Response, Problem> {
    let home = Redirect::to("/").into_response();
    let Some(before) = session.open().await? else {
        return Ok(home);
    };
    let Some(user) = before.data.user.clone() else {
        return Ok(home);
    };
    finish(accounts.sign_out(session, before, user.id, origin)).await?;
    Ok(home)
}
