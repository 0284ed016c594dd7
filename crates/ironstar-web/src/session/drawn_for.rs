//! Reloads pages that were drawn for another visitor.
//!
//! A page may be without its stream for some time: the browser closes the stream of a hidden
//! page, and networks break. In the meantime the visitor may have signed in or out, or the list
//! may have disappeared. So a page names its visitor when it opens its stream. It is told to
//! reload if the visitor is another one now, or if the stream does not exist.
//!
//! Programs send no such header, and get the plain answer.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use ironstar_domain::Principal;

use crate::edge::headers::DRAWN_FOR;
use crate::edge::problem::Problem;
use crate::session::Session;
use crate::stream::guard::{RELOAD, RELOAD_SOON};
use crate::stream::sse;

/// The name of a visitor without a session, as pages send it.
const UNKNOWN: &str = "nobody";

/// The value of the header for a visitor.
pub(crate) fn name(principal: Option<Principal>) -> String {
    principal.map_or_else(|| UNKNOWN.to_owned(), |principal| principal.to_string())
}

/// Tells a page to reload if it was drawn for another visitor, or if its stream does not exist.
pub async fn check(session: Session, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(drawn_for) = request.headers().get(DRAWN_FOR).cloned() else {
        return Ok(next.run(request).await);
    };
    let principal = session.caller().await?.principal();
    if !is_still(drawn_for.as_bytes(), principal) {
        // A visitor without a session may be about to get one.
        let when = principal.map_or(RELOAD_SOON, |_| RELOAD);
        return Ok(sse::answer(when));
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(sse::answer(RELOAD));
    }
    Ok(response)
}

/// Returns true if a page is right for a visitor. A page that was drawn without a session is
/// right for a guest, too: the guest's session has begun since then.
fn is_still(drawn_for: &[u8], principal: Option<Principal>) -> bool {
    drawn_for == name(principal).as_bytes()
        || drawn_for == UNKNOWN.as_bytes() && matches!(principal, Some(Principal::Guest(_)))
}

#[cfg(test)]
mod tests {
    use ironstar_domain::{GuestId, Principal, UserId};
    use uuid::Uuid;

    use super::{is_still, name};

    #[test]
    fn page_fits_its_visitor_and_page_without_a_session_also_fits_a_guest() {
        let guest = |number| Some(Principal::Guest(GuestId::from(Uuid::from_u128(number))));
        let user = |number| Some(Principal::User(UserId::from(Uuid::from_u128(number))));
        let all = [None, guest(1), guest(2), user(1), user(2)];
        for drawn_for in all {
            for now in all {
                let is_right =
                    drawn_for == now || drawn_for.is_none() && [guest(1), guest(2)].contains(&now);
                let name = name(drawn_for);
                assert_eq!(is_still(name.as_bytes(), now), is_right, "{name} {now:?}");
            }
        }
        assert!(!is_still(b"", guest(1)));
    }
}
