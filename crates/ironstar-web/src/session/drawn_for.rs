//! Whom a page was drawn for. The browser closes the stream of a page that is out of
//! sight, and networks break: meanwhile a visitor may have signed in or out, or a
//! list may have gone. A page tells with its stream whom it was drawn for, and loads
//! itself anew if that is somebody else by now, or if it would get no stream.
//!
//! Programs tell nothing, and get the answer that there is.

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

/// A visitor without a session.
const NOBODY: &str = "nobody";

/// What the header says.
pub(crate) fn name(principal: Option<Principal>) -> String {
    principal.map_or_else(|| NOBODY.to_owned(), |principal| principal.to_string())
}

/// Has pages that show what they should not load themselves anew.
pub(crate) async fn check(
    session: Session,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(drawn_for) = request.headers().get(DRAWN_FOR).cloned() else {
        return Ok(next.run(request).await);
    };
    let principal = session.caller().await?.principal();
    if !is_still(drawn_for.as_bytes(), principal) {
        // Who comes without a session may be about to get one.
        let when = principal.map_or(RELOAD_SOON, |_| RELOAD);
        return Ok(sse::answer(when));
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(sse::answer(RELOAD));
    }
    Ok(response)
}

/// Whether a page is right for a visitor. One that was drawn for nobody shows a guest
/// all that it should: that guest has come into being since.
fn is_still(drawn_for: &[u8], principal: Option<Principal>) -> bool {
    drawn_for == name(principal).as_bytes()
        || drawn_for == NOBODY.as_bytes() && matches!(principal, Some(Principal::Guest(_)))
}

#[cfg(test)]
mod tests {
    use ironstar_domain::{GuestId, Principal, UserId};
    use uuid::Uuid;

    use super::{is_still, name};

    #[test]
    fn a_page_is_for_whom_it_was_drawn_and_nobodys_is_for_a_guest_too() {
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
