//! Draws a refusal: as a page for a browser, and as a patch for Datastar.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use maud::html;

use crate::edge::context::SiteContext;
use crate::edge::problem::{Problem, WayOut};
use crate::page::icon;
use crate::page::kit::Banner;
use crate::page::layout::{self, Frame};
use crate::page::notice;
use crate::session::Session;
use crate::stream::sse;

/// The form in which the client of a request can show a problem to a person.
#[derive(Debug)]
pub(crate) enum ShownTo {
    /// A program, which reads the problem as JSON.
    Program,
    /// Datastar, which has posted a form, perhaps with the key of its command. It gets a
    /// patch.
    Datastar(Option<HeaderValue>),
    /// A browser that asks for HTML, at an address to come back to. It gets a page.
    Browser(Uri),
}

impl ShownTo {
    pub(crate) fn client_of(request: &Request) -> Self {
        let headers = request.headers();
        if notice::is_datastar(headers) && request.method() == Method::POST {
            Self::Datastar(headers.get("idempotency-key").cloned())
        } else if wants_page(headers) {
            Self::Browser(if request.method() == Method::GET {
                request.uri().clone()
            } else {
                Uri::from_static("/")
            })
        } else {
            Self::Program
        }
    }

    /// Converts an answer to that form, if it carries a problem.
    pub(crate) async fn show(
        self,
        mut response: Response,
        session: &Session,
        site: &Arc<SiteContext>,
    ) -> Response {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else {
            return response;
        };
        let mut shown = match self {
            Self::Program => return response,
            Self::Datastar(key) => {
                let key = key.as_ref().and_then(|key| key.to_str().ok());
                sse::answer(notice::refused(&problem.detail, key))
            }
            Self::Browser(here) => {
                let frame = Frame::of(Some(session), Some(site), &here).await;
                (problem.status, page(frame, &problem)).into_response()
            }
        };
        problem.add_headers(shown.headers_mut());
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            shown.headers_mut().insert(header::ALLOW, allow);
        }
        // The other extensions matter, too, such as `CarriedOut`.
        shown
            .extensions_mut()
            .extend(std::mem::take(response.extensions_mut()));
        shown
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

/// A page that shows only the problem, and what to do about it.
fn page(frame: Frame, problem: &Problem) -> Response {
    let frame = match &problem.way_out {
        Some(WayOut::Return(address)) => frame.at(address.clone()),
        Some(WayOut::Site(_) | WayOut::SignInOrAsk) | None => frame,
    };
    let content = html! {
        main.page {
            header.masthead { (icon::star()) h1 { "Sorry" } }
            (Banner::Alert.draw(&problem.detail))
            @if let Some(WayOut::SignInOrAsk) = problem.way_out {
                p.way-out {
                    @if frame.can_sign_in().is_some() { "If it is yours, sign in. " }
                    "If the owner shared it with you, ask for a new link."
                }
            }
            p.way-out {
                @if let Some(WayOut::Site(address)) = &problem.way_out {
                    a href=(address) { "Go to " (address) }
                } @else {
                    a href="/" { "Go to the start page" }
                }
            }
        }
    };
    layout::page(&frame, "sorry", &content)
}
