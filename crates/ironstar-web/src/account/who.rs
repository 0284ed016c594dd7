//! The visitor of a session, for programs.

use axum::Json;
use ironstar_domain::{Principal, UserName};
use serde::Serialize;

use crate::edge::problem::Problem;
use crate::edge::rate::Cost;
use crate::session::{Open, Session, SessionData};

/// Who somebody is, as programs get it.
#[derive(Debug, Serialize)]
pub(super) struct SessionResponse {
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
pub(super) async fn who(session: Session) -> Result<Json<SessionResponse>, Problem> {
    Ok(SessionResponse::of(session.open().await?))
}

/// `POST /api/session`: for programs that want to own something.
pub(super) async fn begin_session(
    _: Cost,
    session: Session,
) -> Result<Json<SessionResponse>, Problem> {
    Ok(SessionResponse::of(Some(session.begin().await?)))
}
