//! The origin of a request, from its session and headers.
//!
//! An invalid trace header is ignored, because only the sender's own records use it. An invalid
//! idempotency key is refused, because the sender relies on it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ironstar_app::caller::{LinkToken, Links};
use ironstar_app::{Caller, CommandContext};
use ironstar_domain::Principal;
use ironstar_ports::{CommandKey, Origin};

use crate::edge::problem::Problem;
use crate::session::{Session, SessionError};

/// The caller of a request, and the ids that the request carries.
#[derive(Clone, Debug, Default)]
pub struct RequestOrigin {
    /// The caller, as far as the session identifies it.
    pub caller: Caller,
    /// `X-Request-Id` and `traceparent`.
    pub origin: Origin,
    /// `Idempotency-Key`.
    pub key: Option<CommandKey>,
}

impl RequestOrigin {
    /// Begins a session if the visitor has none, for a form from a browser. If the client has
    /// begun too many sessions, the request continues without one.
    pub async fn in_a_browser(self, session: &Session) -> Result<Self, Problem> {
        match session.begin().await {
            Ok(_) | Err(SessionError::TooMany(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let caller = self.caller.with_session(session.caller().await?);
        Ok(Self { caller, ..self })
    }

    /// Adds the link that the caller presents, if there is one.
    pub fn by_link(self, links: &Links, link: Option<LinkToken>) -> Self {
        let link = link.map(|link| links.presented(link));
        let caller = self.caller.by_link(link);
        Self { caller, ..self }
    }

    /// The caller, as the owner of something new.
    pub fn owner(&self) -> Result<Principal, Problem> {
        self.caller.principal().ok_or_else(no_session)
    }

    /// The context of a command without a key.
    pub fn context(&self) -> CommandContext {
        CommandContext {
            caller: self.caller.clone(),
            origin: self.origin.clone(),
            ..CommandContext::default()
        }
    }

    /// The key of a form's command: from the header, or else from the form. An empty field in
    /// the form means no key.
    pub fn key_or(&self, in_form: &str) -> Result<Option<CommandKey>, Problem> {
        match (&self.key, in_form) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, "") => Ok(None),
            (None, key) => parse_key(key).map(Some),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, state).await?;
        let key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(key) => Some(parse_key(key.to_str().unwrap_or_default())?),
        };
        Ok(Self {
            caller: session.caller().await?,
            origin: Origin {
                correlation_id: text(&parts.headers, "x-request-id")
                    .filter(|id| id.parse::<CommandKey>().is_ok())
                    .map(str::to_owned),
                traceparent: text(&parts.headers, "traceparent")
                    .filter(|value| is_traceparent(value))
                    .map(str::to_owned),
                ..Origin::default()
            },
            key,
        })
    }
}

/// The refusal for a caller without a session, who cannot own anything.
fn no_session() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-sessions",
        "too many new sessions from your network; try again in a minute",
    )
}

/// Parses a key, bare or in the quotes of a structured field
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
pub(crate) fn parse_key(key: &str) -> Result<CommandKey, Problem> {
    let bare = key
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .unwrap_or(key);
    bare.parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}

/// The value of a header, if the header occurs exactly once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(line)
}

/// Returns true if a value is a `traceparent` of version 00
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let is_hex = |part: &str| {
        part.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    match parts[..] {
        ["00", trace, parent, flags] => {
            (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
                && [trace, parent, flags].into_iter().all(is_hex)
                && !is_zero(trace)
                && !is_zero(parent)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_traceparent, parse_key};

    #[test]
    fn key_may_be_quoted() {
        for key in ["8e03978e", "\"8e03978e\""] {
            let parsed = parse_key(key).map(|key| key.as_str().to_owned());
            assert_eq!(parsed, Ok("8e03978e".to_owned()));
        }
        for key in ["", "\"\"", "a b", "ü", "a\n", &"x".repeat(256)] {
            assert!(parse_key(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn traceparent_is_recognised() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        for value in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(value), "{value}");
        }
    }
}
