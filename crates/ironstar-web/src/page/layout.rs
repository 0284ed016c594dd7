//! The frame around every page. It depends on the visitor and the chosen theme.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use ironstar_domain::{Principal, UserName};
use maud::{DOCTYPE, Markup, html};

use crate::edge::context::SiteContext;
use crate::edge::headers::DRAWN_FOR;
use crate::page::assets;
use crate::page::icon;
use crate::page::kit::Button;
use crate::page::theme;
use crate::session::drawn_for;
use crate::session::{Session, Theme};
use crate::site::{Navigation, SiteName};
use crate::stream::sse::EventId;

/// The data about the visitor that the frame of a page shows.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    site: SiteName,
    theme: Theme,
    principal: Option<Principal>,
    /// The name of the visitor, if they have signed in.
    user: Option<UserName>,
    /// The name of the provider with which visitors sign in; `None` if they cannot.
    provider: Option<Arc<str>>,
    /// The links of the features.
    navigation: Vec<Navigation>,
    /// The address of the page, to which the visitor returns after signing in.
    here: String,
}

impl Frame {
    /// The frame for the visitor of a request. If the session is missing or cannot be read, the
    /// frame is that of an unknown visitor.
    pub(crate) async fn of(
        session: Option<&Session>,
        site: Option<&Arc<SiteContext>>,
        uri: &Uri,
    ) -> Self {
        let open = match session {
            Some(session) => session.open().await.unwrap_or_else(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a page is drawn for an unknown visitor, because the session cannot be read"
                );
                None
            }),
            None => None,
        };
        let data = open.map(|open| open.data);
        let here = uri.path_and_query().map_or("/", |here| here.as_str());
        Self {
            site: site.map(|site| site.site.name).unwrap_or_default(),
            theme: data.as_ref().map(|data| data.theme).unwrap_or_default(),
            principal: data.as_ref().and_then(|data| data.caller().principal()),
            user: data.and_then(|data| data.user).map(|user| user.name),
            provider: site.and_then(|site| site.provider.clone()),
            navigation: site.map(|site| site.navigation.clone()).unwrap_or_default(),
            here: here.to_owned(),
        }
    }

    /// The name of the provider, if the visitor can sign in and has not.
    pub fn can_sign_in(&self) -> Option<&str> {
        let provider = self.provider.as_ref().filter(|_| self.user.is_none());
        provider.map(|name| &**name)
    }

    /// The same frame with another address to return to, for a page that answers a form.
    pub(crate) fn at(self, here: String) -> Self {
        Self { here, ..self }
    }

    /// Draws the line above every page.
    fn draw(&self) -> Markup {
        let then = html! { input type="hidden" name="then" value=(self.here); };
        html! {
            header.site {
                nav aria-label="Site" {
                    a href="/" { "Home" }
                    @for link in &self.navigation {
                        a href=(link.address) { (link.label) }
                    }
                }
                div.visitor {
                    (theme::draw(self.theme))
                    @if let Some(user) = &self.user {
                        span.user dir="auto" title="You are signed in" { (user) }
                        form action="/sign-out" method="post" {
                            (Button::Quiet.draw("Sign out"))
                        }
                    } @else if let Some(provider) = &self.provider {
                        form action="/sign-in" method="post" {
                            (then)
                            (Button::Quiet.draw(&format!("Sign in with {provider}")))
                        }
                    }
                }
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let extensions = &parts.extensions;
        Ok(Self::of(extensions.get(), extensions.get(), &parts.uri).await)
    }
}

/// A whole page.
pub fn page(frame: &Frame, title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (frame.site.title(title)) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href=(assets::ICON) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE);
                // The browser draws the page only when it has read all of it, up to the
                // drawings at its end. Otherwise it could draw half of the page when the style
                // sheet arrives, and then move elements about.
                link rel="expect" href="#drawings" blocking="render";
                script type="module" src=(assets::SCRIPT) {}
            }
            body {
                (frame.draw())
                (content)
                (icon::drawings())
            }
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], page).into_response()
}

/// The expression that sends a command which `commands.js` requests. It is the value of
/// `data-on:send` on an element around the forms.
pub const SEND: &str = "evt.detail.answer = @post(evt.detail.action, evt.detail.options)";

/// The expression with which the browser opens the stream of its element. It retries without
/// end, after a random time, so that not all browsers return in the same moment.
fn open(headers: &str) -> String {
    format!(
        "@get(el.dataset.stream, {{headers: {{{headers}'{}': el.dataset.drawnFor}}, retry: 'always', \
         retryInterval: 300 + 700 * Math.random(), retryMaxWait: 5000, \
         retryMaxCount: Infinity}})",
        DRAWN_FOR
    )
}

/// The element that keeps a page up to date by the stream at an address, which begins after the
/// state that the page shows (`seen`). It also tells the visitor when the connection is lost.
pub fn connection(frame: &Frame, stream: &str, seen: EventId) -> Markup {
    let from_here = open(&format!("'last-event-id': '{seen}', "));
    html! {
        p #connection .banner.alert role="status" data-lost="Connection lost. Trying again…"
            data-stream=(stream) data-drawn-for=(drawn_for::name(frame.principal))
            data-init=(from_here) data-on:reopen=(open("")) {}
    }
}
