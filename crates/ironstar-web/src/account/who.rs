//! The visitor of a session, for programs.

use axum::Json;
use ironstar_domain::{Principal, UserName};
use serde::Serialize;

use crate::edge::cost::Cost;
use crate::edge::problem::Problem;
use crate::session::{Open, Session, SessionData};

/// The identity of a session, as programs get it.
#[derive(Debug, Serialize)]
pub(super) struct SessionResponse {
    /// The owner of new lists; `None` without a session.
    principal: Option<Principal>,
    /// The name of a user; `None` for a guest.
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
