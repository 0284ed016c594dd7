//! Forms, as browsers send them. A form with invalid UTF-8 is refused. Its bytes are not
//! replaced silently.

use axum::body::Bytes;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::edge::problem::Problem;

/// The fields of a form.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<S, T> FromRequest<S> for Form<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::new(body), state).await;
        let body = body.map_err(|_| Problem::malformed())?;
        if is_form(&parts.headers) && !is_text(&body) {
            return Err(Problem::invalid(
                "invalid-value",
                "a form must be UTF-8 text, and this one has bytes that are not valid UTF-8",
            ));
        }
        let request = Request::from_parts(parts, body.into());
        let form: Result<axum::Form<T>, FormRejection> =
            axum::Form::from_request(request, state).await;
        Ok(Self(form?.0))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|it| it.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"))
}

/// Returns true if the decoded form is valid UTF-8. The separators between fields are whole
/// characters, so parts of a character in two fields cannot form a valid one.
fn is_text(form: &[u8]) -> bool {
    if std::str::from_utf8(form).is_err() {
        return false;
    }
    if !form.contains(&b'%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(form.len());
    let mut rest = form;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if let Some(byte) = decode(*high, *low) => {
                decoded.push(byte);
                rest = after;
            }
            _ => decoded.push(*byte),
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

fn decode(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::is_text;

    #[test]
    fn form_is_text_if_all_its_bytes_are_utf_8() {
        for form in [
            &b""[..],
            b"text=Milk&key=",
            b"text=caf%C3%A9+%F0%9F%A5%9B",
            "text=caf\u{e9}".as_bytes(),
            b"text=100%",
            b"text=100%2",
            b"text=%zz%",
        ] {
            assert!(is_text(form), "{}", form.escape_ascii());
        }
        for form in [
            &b"text=caf\xe9"[..],
            b"text=caf%E9",
            b"text=%C3&%A9=",
            b"text=%C3\xa9",
            b"text=%ff",
            b"text=%ED%A0%80",
        ] {
            assert!(!is_text(form), "{}", form.escape_ascii());
        }
    }
}
