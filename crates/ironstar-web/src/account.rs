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

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use ironstar_app::finish::finish;
use ironstar_app::{CommandContext, ListService, UserService};
use ironstar_domain::{
    GuestId, IdentityId, Principal, Profile, UserId, UserName, in_one_direction,
};
use ironstar_ports::{IdentityError, IdentityProvider, Payload, PkceVerifier, SessionHash};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::Site;
use crate::SiteAddress;
use crate::account::news::PrivateNews;
use crate::edge::form::Form;
use crate::edge::problem::Problem;
use crate::page::layout::local;
use crate::session::origin::RequestOrigin;
use crate::session::{Open, Session, SessionData, SignedIn};

/// Where a provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/sign-in/callback";

/// For how long a sign-in may be under way.
const UNDER_WAY: Duration = Duration::from_secs(10 * 60);

/// How many sign-ins are finished at once. Each waits for somebody else, and who is
/// slow must not keep more and more of them waiting.
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

/// A sign-in that is under way.
#[derive(Deserialize, Serialize)]
struct UnderWay {
    /// The session that it was begun in, as the store knows it.
    session: [u8; 32],
    verifier: String,
    /// Where to go then.
    then: String,
}

/// What the form holds.
#[derive(Debug, Default, Deserialize)]
struct Begin {
    #[serde(default)]
    then: String,
}

/// What the provider says by way of the browser.
#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// The routes of this module.
pub(crate) fn routes(accounts: Accounts) -> Router {
    Router::new()
        .route("/sign-in", post(begin))
        .route(CALLBACK, get(come_back))
        .route("/sign-out", post(sign_out))
        .route("/api/session", get(who).post(begin_session))
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
        replaced.ok_or_else(unknown_sign_in)?;
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

/// `POST /sign-in`
async fn begin(
    State(accounts): State<Arc<Accounts>>,
    session: Session,
    Extension(site): Extension<Arc<Site>>,
    headers: HeaderMap,
    form: Result<Form<Begin>, Problem>,
) -> Result<Response, Problem> {
    let provider = accounts.provider()?;
    let Form(form) = form?;
    expect_at_home(&site, &headers)?;
    let open = session.begin().await?;
    let request = provider.begin();
    let under_way = UnderWay {
        session: *open.id.hash().as_bytes(),
        verifier: request.verifier.secret().to_owned(),
        then: local(&form.then).to_owned(),
    };
    let under_way = Payload::of(&under_way).map_err(|error| Problem::unavailable(&error))?;
    session
        .sessions()
        .deposit(name_of(&request.state), under_way, UNDER_WAY)
        .await?;
    Ok(Redirect::to(&request.address).into_response())
}

/// Who is sent back comes to the site's own address: a session that began under another
/// of its names is not there.
fn expect_at_home(site: &Site, headers: &HeaderMap) -> Result<(), Problem> {
    let origin = headers.get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok()?.parse::<SiteAddress>().ok());
    match (&site.address, origin) {
        (Some(home), Some(origin)) if *home != origin => {
            let detail = format!("people sign in at {home}: go there, and try again");
            Err(Problem {
                elsewhere: Some(home.to_string()),
                ..Problem::new(StatusCode::BAD_REQUEST, "sign-in-elsewhere", detail)
            })
        }
        _ => Ok(()),
    }
}

/// `GET /sign-in/callback`: where the provider sends the browser back to.
async fn come_back(
    State(accounts): State<Arc<Accounts>>,
    method: Method,
    session: Session,
    origin: RequestOrigin,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Result<Response, Problem> {
    let provider = accounts.provider()?;
    if method != Method::GET {
        return Err(Problem::no_such_method());
    }
    let Query(answer) = answer.map_err(|_| unknown_sign_in())?;
    // Before anything is looked at that is good once.
    let open = session.open().await?.ok_or_else(unknown_sign_in)?;
    let busy = || Problem::busy("too many are signing in at this moment; try again");
    let _finishing = accounts.finishing.try_acquire().map_err(|_| busy())?;
    let under_way = recognise(&session, &open, &answer).await?;
    let finished = async {
        if let Some(error) = answer.error {
            return Err(denied(provider, &error));
        }
        let code = answer.code.ok_or_else(unknown_sign_in)?;
        let verifier = PkceVerifier::new(under_way.verifier);
        let told = provider.finish(&code, &verifier).await;
        let told = told.map_err(|error| failed(provider, &error))?;
        let told = read(told).ok_or_else(|| makes_no_sense(provider))?;
        finish(Arc::clone(&accounts).sign_in(session.clone(), open, told, origin)).await
    };
    match finished.await {
        Ok(()) => Ok(Redirect::to(&under_way.then).into_response()),
        // Whoever tries again from there gets where they wanted to.
        Err(problem) => Err(problem.going_on_at(&under_way.then)),
    }
}

/// `POST /sign-out`
async fn sign_out(
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

/// Who somebody is, as programs get it.
#[derive(Debug, Serialize)]
struct SessionResponse {
    /// Whose is what they make; nobody's, if they have no session.
    principal: Option<Principal>,
    /// What they are called who have signed in.
    name: Option<UserName>,
}

impl SessionResponse {
    fn of(open: Option<Open>) -> Json<Self> {
        let data = open.map(|open| open.data);
        let caller = data.as_ref().map(SessionData::caller);
        Json(Self {
            principal: caller.and_then(|caller| caller.principal()),
            name: data.and_then(|data| data.user).map(|user| user.name),
        })
    }
}

/// `GET /api/session`
async fn who(session: Session) -> Result<Json<SessionResponse>, Problem> {
    Ok(SessionResponse::of(session.open().await?))
}

/// `POST /api/session`: for programs that want to own something.
async fn begin_session(session: Session) -> Result<Json<SessionResponse>, Problem> {
    Ok(SessionResponse::of(Some(session.begin().await?)))
}

/// The sign-in that an answer belongs to, if it was begun here, by this browser, a
/// short while ago, and nobody has come with it before.
async fn recognise(session: &Session, open: &Open, answer: &Answer) -> Result<UnderWay, Problem> {
    let state = answer.state.as_deref().ok_or_else(unknown_sign_in)?;
    let kept = session.sessions().withdraw(&name_of(state)).await?;
    let kept = kept.ok_or_else(unknown_sign_in)?;
    let under_way: UnderWay = serde_json::from_str(kept.as_str()).map_err(|error| {
        tracing::error!(%error, "a sign-in that is under way is damaged");
        unknown_sign_in()
    })?;
    if *open.id.hash().as_bytes() == under_way.session {
        return Ok(under_way);
    }
    Err(unknown_sign_in())
}

/// What the store knows a sign-in by.
fn name_of(state: &str) -> SessionHash {
    let hash = Sha256::new().chain_update("ironstar sign-in\n");
    SessionHash::new(hash.chain_update(state).finalize().into())
}

/// What a provider tells, as far as it makes sense.
fn read(told: ironstar_ports::IdentityProfile) -> Option<(IdentityId, Profile)> {
    let identity = IdentityId::new(&told.issuer, &told.subject).ok()?;
    let profile = Profile {
        login: told.login.parse().ok()?,
        // Who is called nothing that can be shown is called by their login.
        name: told
            .name
            .and_then(|name| in_one_direction(&name).parse().ok()),
    };
    Some((identity, profile))
}

fn unknown_sign_in() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unknown-sign-in",
        "this sign-in cannot be finished: it took too long, was finished before, or began in \
         another browser; you are as you were, and can begin again",
    )
}

fn denied(provider: &dyn IdentityProvider, error: &str) -> Problem {
    let provider = provider.name();
    if error == "access_denied" {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "sign-in-denied",
            format!("you have not let {provider} tell who you are, so you are not signed in"),
        );
    }
    // It comes by way of the browser, which may say anything.
    let error: String = error.chars().take(100).collect();
    tracing::warn!(error, provider, "a sign-in was refused");
    let detail = format!("{provider} has refused the sign-in; you can begin again");
    Problem::new(StatusCode::BAD_REQUEST, "sign-in-refused", detail)
}

fn failed(provider: &dyn IdentityProvider, error: &IdentityError) -> Problem {
    let name = provider.name();
    let again = "you are as you were, and can begin again";
    let is_set_up = !matches!(error, IdentityError::Refused { code } if is_the_operators(code));
    if !is_set_up {
        tracing::error!(
            error = error as &dyn std::error::Error,
            provider = name,
            "nobody can sign in: see that the id, the secret and the callback address are \
             those of the app at the provider"
        );
        return Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "sign-in-not-set-up",
            format!(
                "{name} does not know this site as it should, so nobody can sign in until its \
                 operator has seen to that"
            ),
        );
    }
    tracing::warn!(
        error = error as &dyn std::error::Error,
        provider = name,
        "a sign-in was not finished"
    );
    match error {
        IdentityError::Refused { .. } => Problem::new(
            StatusCode::BAD_REQUEST,
            "sign-in-refused",
            format!("{name} does not accept this sign-in; {again}"),
        ),
        IdentityError::TimedOut => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "sign-in-timeout",
            format!("{name} did not answer in time; {again}"),
        ),
        IdentityError::Unavailable(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "sign-in-unavailable",
            format!("{name} cannot be reached at the moment; {again} in a while"),
        ),
        IdentityError::Nonsense(_) => makes_no_sense(provider),
    }
}

/// Whether it takes the operator to put right what a provider complains of (RFC 6749,
/// section 5.2, and
/// <https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>).
fn is_the_operators(code: &str) -> bool {
    matches!(
        code,
        "incorrect_client_credentials" | "redirect_uri_mismatch" | "invalid_client"
    )
}

fn makes_no_sense(provider: &dyn IdentityProvider) -> Problem {
    let name = provider.name();
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "sign-in-unavailable",
        format!("what {name} has answered makes no sense; you are as you were"),
    )
}
