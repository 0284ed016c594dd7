//! Signing in with an identity provider, and signing out.
//!
//! The protocol is OAuth 2.0 with PKCE (RFC 6749, RFC 7636), with the practices of RFC 9700.
//! The data of a sign-in in progress is stored under a hash of its `state`. It is valid for ten
//! minutes, once, and only for the browser that began the sign-in. A session changes only if
//! every step succeeds. Then the visitor gets new bits for their cookie, and the server
//! finishes the sign-in even if the browser disconnects.
//!
//! When a guest signs in, their lists are handed over to the user. If that fails, the server
//! tries again later, and at last when the visitor signs out. If even that fails, the visitor
//! stays the same guest, so that no list is lost.
//!
//! This module has the only GET that changes something, because the protocol requires it. Its
//! protection is `state`, which no other site knows.

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
use ironstar_app::{CommandContext, HandOver, UserService};
use ironstar_domain::{GuestId, IdentityId, Profile, UserId};
use ironstar_ports::IdentityProvider;
use tokio::sync::Semaphore;

use crate::account::news::PrivateNews;
use crate::edge::cost::Cost;
use crate::edge::problem::Problem;
use crate::session::origin::RequestOrigin;
use crate::session::{Open, Session, SessionData, SignedIn};

/// The maximum number of sign-ins that wait for the provider at the same time. Without a limit,
/// a slow provider would let more and more of them wait.
const FINISHING: usize = 32;

/// The pause before the first further attempt to hand lists over, and the number of further
/// attempts. Each pause is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);
const TRIES: u32 = 10;

/// The state of the handlers.
#[derive(Debug)]
pub(crate) struct Accounts {
    provider: Option<Arc<dyn IdentityProvider>>,
    users: UserService,
    hand_overs: Vec<Arc<dyn HandOver>>,
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
        hand_overs: Vec<Arc<dyn HandOver>>,
        news: PrivateNews,
    ) -> Self {
        Self {
            provider,
            users,
            hand_overs,
            news,
            finishing: Semaphore::new(FINISHING),
        }
    }

    fn provider(&self) -> Result<&dyn IdentityProvider, Problem> {
        self.provider.as_deref().ok_or_else(Problem::no_such_page)
    }

    /// Makes a visitor a user, and hands the visitor's lists over to that user.
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
        // The hand-over comes last: until the session is replaced, new lists are the guest's.
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
            // With a new guest id, no visitor could ever reach those lists again.
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
            // The visitor is signed out in any case.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %user,
                "the sign-out of a user was not recorded"
            );
        }
        Ok(())
    }

    /// Hands all that a guest owns over to a user. Returns true if all of it was handed over.
    async fn hand_over(&self, from: GuestId, to: UserId, context: &CommandContext) -> bool {
        let mut is_all = true;
        for owned in &self.hand_overs {
            let handed_over = owned.hand_over(from.into(), to.into(), context).await;
            if let Err(error) = handed_over {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    %from,
                    %to,
                    "what a guest owned was not handed over to the user"
                );
                is_all = false;
            }
        }
        is_all
    }

    /// Tries to hand the lists over again, several times with growing pauses.
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
