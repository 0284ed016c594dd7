//! The two requests of a sign-in: to the provider, and back from it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use ironstar_app::finish::finish;
use ironstar_domain::{IdentityId, Profile, in_one_direction};
use ironstar_ports::{Payload, PkceVerifier, SessionHash};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Accounts;
use super::refusals::{denied, failed, makes_no_sense, unknown_sign_in};
use crate::edge::context::SiteContext;
use crate::edge::cost::{Cost, HEAVY};
use crate::edge::form::Form;
use crate::edge::problem::{Problem, WayOut};
use crate::edge::return_to::local;
use crate::edge::unread::CarriedOut;
use crate::session::origin::RequestOrigin;
use crate::session::{Open, Session};
use crate::site::{Site, SiteAddress};

/// The path at which the provider sends browsers back.
const CALLBACK: &str = "/sign-in/callback";

/// The time in which a sign-in has to be finished.
const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The stored data of a sign-in in progress.
#[derive(Deserialize, Serialize)]
struct PendingSignIn {
    /// The hash of the session in which the sign-in began.
    session: [u8; 32],
    verifier: String,
    /// The address to which the visitor returns.
    then: String,
}

/// The fields of the form.
#[derive(Debug, Default, Deserialize)]
struct Begin {
    #[serde(default)]
    then: String,
}

/// The provider's answer, which the browser passes on.
#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<Accounts>> {
    Router::new().route("/sign-in", post(begin)).route(
        CALLBACK,
        get(come_back).route_layer(map_response(has_come_back)),
    )
}

/// Marks the answer at the end of a sign-in. That request is a GET that works only once, so its
/// answer is sent even if the client has too many unread answers. A page with a problem leads
/// back to another page.
async fn has_come_back(mut response: Response) -> Response {
    let extensions = response.extensions_mut();
    extensions.insert(CarriedOut);
    if let Some(problem) = extensions.get_mut::<Problem>() {
        *problem = problem.clone().leading_home();
    }
    response
}

/// `POST /sign-in`
async fn begin(
    _: Cost<HEAVY>,
    State(accounts): State<Arc<Accounts>>,
    session: Session,
    Extension(context): Extension<Arc<SiteContext>>,
    headers: HeaderMap,
    form: Result<Form<Begin>, Problem>,
) -> Result<Response, Problem> {
    let provider = accounts.provider()?;
    let Form(form) = form?;
    expect_at_home(&context.site, &headers)?;
    let open = session.begin().await?;
    let request = provider.begin();
    let pending = PendingSignIn {
        session: *open.id.hash().as_bytes(),
        verifier: request.verifier.secret().to_owned(),
        then: local(&form.then).to_owned(),
    };
    let pending = Payload::of(&pending).map_err(|error| Problem::unavailable(&error))?;
    session
        .sessions()
        .deposit(name_of(&request.state), pending, TIME_LIMIT)
        .await?;
    Ok(Redirect::to(&request.address).into_response())
}

/// Refuses a sign-in that begins under another name of the site. The provider sends the browser
/// back to the site's own address, and there the browser would not send the session's cookie.
fn expect_at_home(site: &Site, headers: &HeaderMap) -> Result<(), Problem> {
    let origin = headers.get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok()?.parse::<SiteAddress>().ok());
    match (&site.address, origin) {
        (Some(home), Some(origin)) if *home != origin => {
            let detail = format!("visitors sign in at {home}; go there, and try again");
            let problem = Problem::new(StatusCode::BAD_REQUEST, "sign-in-elsewhere", detail);
            Err(problem.with_way_out(WayOut::Site(home.to_string())))
        }
        _ => Ok(()),
    }
}

/// `GET /sign-in/callback`, to which the provider sends the browser back.
async fn come_back(
    _: Cost,
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
    // This comes before the `state` is used up, which works only once.
    let open = session.open().await?.ok_or_else(unknown_sign_in)?;
    let busy = || Problem::busy("too many visitors are signing in; try again in a moment");
    let _finishing = accounts.finishing.try_acquire().map_err(|_| busy())?;
    let pending = recognise(&session, &open, &answer).await?;
    let finished = async {
        if let Some(error) = answer.error {
            return Err(denied(provider, &error));
        }
        let code = answer.code.ok_or_else(unknown_sign_in)?;
        let verifier = PkceVerifier::new(pending.verifier);
        let told = provider.finish(&code, &verifier).await;
        let told = told.map_err(|error| failed(provider, &error))?;
        let told = read(told).ok_or_else(|| makes_no_sense(provider))?;
        finish(Arc::clone(&accounts).sign_in(session.clone(), open, told, origin)).await
    };
    match finished.await {
        Ok(()) => Ok(Redirect::to(&pending.then).into_response()),
        // Another attempt from the problem's page leads to the page before the sign-in.
        Err(problem) => Err(problem.with_way_out(WayOut::Return(pending.then))),
    }
}

/// The sign-in that an answer belongs to. It must have begun on this site, in this browser, and
/// recently, and must not have been used before.
async fn recognise(
    session: &Session,
    open: &Open,
    answer: &Answer,
) -> Result<PendingSignIn, Problem> {
    let state = answer.state.as_deref().ok_or_else(unknown_sign_in)?;
    let kept = session.sessions().withdraw(&name_of(state)).await?;
    let kept = kept.ok_or_else(unknown_sign_in)?;
    let pending: PendingSignIn = serde_json::from_str(kept.as_str()).map_err(|error| {
        tracing::error!(%error, "the stored data of a sign-in is invalid");
        unknown_sign_in()
    })?;
    if *open.id.hash().as_bytes() == pending.session {
        return Ok(pending);
    }
    Err(unknown_sign_in())
}

/// The name under which a sign-in is stored.
fn name_of(state: &str) -> SessionHash {
    let hash = Sha256::new().chain_update("ironstar sign-in\n");
    SessionHash::new(hash.chain_update(state).finalize().into())
}

/// Parses a provider's profile. Returns `None` if the profile is invalid.
fn read(told: ironstar_ports::IdentityProfile) -> Option<(IdentityId, Profile)> {
    let identity = IdentityId::new(&told.issuer, &told.subject).ok()?;
    let profile = Profile {
        login: told.login.parse().ok()?,
        // If the name cannot be shown, pages show the login instead.
        name: told
            .name
            .and_then(|name| in_one_direction(&name).parse().ok()),
    };
    Some((identity, profile))
}
