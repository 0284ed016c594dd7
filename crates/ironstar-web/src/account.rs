//! Signing in with an identity provider, and signing out.
//!
//! The protocol is OAuth 2.0 with PKCE (RFC 6749, RFC 7636), with the practices of RFC 9700.
//! The data of a sign-in in progress is stored under a hash of its `state`. It is valid for ten
//! minutes, once, and only for the browser that began the sign-in. A session changes only if
//! every step succeeds. Then the visitor gets new bits for their cookie, and the server
//! finishes the sign-in even if the browser disconnects.
//!
//! When a guest signs in, the log records it first. So the user gets all that the guest owns,
//! even after a crash: see [`ironstar_app::HandOverGuests`]. The sign-in hands over at once,
//! too, so that the next page shows everything. At sign-out, the visitor becomes a new guest,
//! because all of the old one belongs to the user.
//!
//! This module has the only GET that changes something, because the protocol requires it. Its
//! protection is `state`, which no other site knows.

pub mod news;
mod refusals;
mod sign_in;
pub(crate) mod theme;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use ironstar_app::finish::finish;
use ironstar_app::{Adoption, CommandContext, HandOvers, UserService};
use ironstar_domain::{IdentityId, Profile, UserId};
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

/// The state of the handlers.
#[derive(Debug)]
pub(crate) struct Accounts {
    provider: Option<Arc<dyn IdentityProvider>>,
    users: UserService,
    hand_overs: HandOvers,
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
        hand_overs: HandOvers,
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

    /// Makes a visitor a user, and hands over to that user what the visitor owns.
    async fn sign_in(
        self: Arc<Self>,
        session: Session,
        before: Open,
        (identity, profile): (IdentityId, Profile),
        origin: RequestOrigin,
    ) -> Result<(), Problem> {
        // The provider may have taken a while. If the session has ended meanwhile, the log must
        // not say that its guest has signed in.
        if !session.is_still(before.id).await? {
            return Err(refusals::unknown_sign_in());
        }
        let guest = before.data.guest;
        let id = self
            .users
            .sign_in(&identity, &profile, guest, &origin.context())
            .await?;
        let name = profile.display_name().clone();
        let data = before.data.signed_in(SignedIn { id, name });
        let context = CommandContext {
            caller: data.caller(),
            ..origin.context()
        };
        let replaced = session.replace(before.id, data).await?;
        replaced.ok_or_else(refusals::unknown_sign_in)?;
        self.news.has_ended(before.id).await;
        // This comes last: until the session is replaced, new lists are the guest's. After a
        // failure, which is logged, the process manager goes on.
        let adoption = Adoption { guest, user: id };
        let _ = self.hand_overs.hand_over(adoption, &context).await;
        Ok(())
    }

    async fn sign_out(
        self: Arc<Self>,
        session: Session,
        before: Open,
        user: UserId,
        origin: RequestOrigin,
    ) -> Result<(), Problem> {
        let after = SessionData {
            theme: before.data.theme,
            ..SessionData::of(session.next_guest())
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
