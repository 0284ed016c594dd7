//! What a browser holds of its session.

use std::fmt::{self, Debug};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ironstar_ports::SessionHash;
use sha2::{Digest, Sha256};

/// How many bytes an id has: 192 bits.
const BYTES: usize = 24;

/// The secret that makes a browser the holder of a session. It never gets into a
/// log, a page or an event.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct SessionId([u8; BYTES]);

/// Which cookie holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    is_secure: bool,
}

impl SessionId {
    pub(crate) fn new(secret: [u8; BYTES]) -> Self {
        Self(secret)
    }

    /// What the store knows it by. The bits are random, so that a hash without
    /// salt is as good as any.
    pub(crate) fn hash(self) -> SessionHash {
        SessionHash::new(self.derived("session"))
    }

    /// What may be told of it, on the bus: not what the store knows it by, and
    /// not to be led back to the secret.
    pub(crate) fn key(self) -> String {
        let key = self.derived("key");
        key[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn derived(self, purpose: &str) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(format!("ironstar {purpose}\n"))
            .chain_update(self.0);
        hash.finalize().into()
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut id = [0; BYTES];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()?;
        (length == BYTES).then_some(Self(id))
    }
}

impl Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

impl Cookies {
    /// The cookies of a site that is reached over TLS, or is not.
    pub(crate) fn new(is_secure: bool) -> Self {
        Self { is_secure }
    }

    /// With the prefix, browsers see to it that nobody but this very host has set
    /// it, over TLS
    /// (<https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2>).
    fn name(self) -> &'static str {
        if self.is_secure {
            "__Host-ironstar_session"
        } else {
            "ironstar_session"
        }
    }

    /// What a browser has come with, if that could be an id. Of several, none: somebody
    /// else has had a hand in it.
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<SessionId> {
        let pairs = headers.get_all(header::COOKIE).into_iter();
        let pairs = pairs.flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'));
        let mut ids = pairs.filter_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(self.name().as_bytes())?;
            SessionId::parse(value.strip_prefix(b"=")?)
        });
        let id = ids.next()?;
        ids.all(|other| other == id).then_some(id)
    }

    /// What has a browser keep an id.
    pub(crate) fn write(self, id: SessionId, age: Duration) -> HeaderValue {
        let (name, seconds) = (self.name(), age.as_secs());
        let value = BASE64_URL_SAFE_NO_PAD.encode(id.0);
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
        let mut cookie =
            HeaderValue::try_from(cookie).expect("a cookie of ours is made of visible ASCII");
        cookie.set_sensitive(true);
        cookie
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Cookies, SessionId};

    const ID: SessionId = SessionId([7; 24]);
    const TEXT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn read(cookies: Cookies, lines: &[&str]) -> Option<SessionId> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_str(line).expect("a header");
            headers.append(header::COOKIE, line);
        }
        cookies.read(&headers)
    }

    #[test]
    fn what_was_written_is_read() {
        let age = Duration::from_secs(60);
        for (cookies, written) in [
            (
                Cookies::new(false),
                "ironstar_session=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH; HttpOnly; SameSite=Lax; \
                 Path=/; Max-Age=60",
            ),
            (
                Cookies::new(true),
                "__Host-ironstar_session=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH; HttpOnly; \
                 SameSite=Lax; Path=/; Max-Age=60; Secure",
            ),
        ] {
            let cookie = cookies.write(ID, age);
            assert_eq!(cookie, written);
            assert!(cookie.is_sensitive());
            let pair = written.split(';').next().expect("a pair");
            for line in [pair, &format!("a=b; {pair}"), &format!("{pair};c")] {
                assert_eq!(read(cookies, &[line]), Some(ID), "{line}");
            }
            assert_eq!(read(cookies, &["a=b", pair]), Some(ID));
            assert_eq!(read(cookies, &[pair, pair]), Some(ID));
            let other = cookies.write(SessionId([8; 24]), age);
            let other = other.to_str().expect("text");
            for line in [format!("{pair}; {other}"), format!("{other}; {pair}")] {
                assert_eq!(read(cookies, &[&line]), None, "{line}");
            }
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        let cookies = Cookies::new(false);
        for value in [
            "",
            "x",
            &TEXT[1..],
            &format!("{TEXT}A"),
            &format!("\"{TEXT}\""),
            &format!("{TEXT}="),
        ] {
            assert_eq!(read(cookies, &[&format!("ironstar_session={value}")]), None);
        }
        for line in [
            TEXT.to_owned(),
            format!("ironstar_sessio={TEXT}"),
            format!("ironstar_session2={TEXT}"),
            format!("__Host-ironstar_session={TEXT}"),
        ] {
            assert_eq!(read(cookies, &[&line]), None, "{line}");
        }
        // Nor does a site over TLS take what anybody on the way could have set.
        let insecure = format!("ironstar_session={TEXT}");
        assert_eq!(read(Cookies::new(true), &[&insecure]), None);
    }

    #[test]
    fn what_is_told_of_an_id_is_not_the_id() {
        let hash = ID.hash();
        let hex: String = hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        // As another implementation of SHA-256 has it: what is stored stays what it is.
        let expected = "c03235f01a57c687488954a8c43824022057b5d2cf93c0a2a527d7622dbc7709";
        assert_eq!(hex, expected);
        assert_eq!(ID.key().len(), 32);
        assert!(!hex.starts_with(&ID.key()) && !hex.ends_with(&ID.key()));
        assert_ne!(SessionId([8; 24]).key(), ID.key());
        assert!(!format!("{ID:?}{ID:#?}").contains('7'));
    }
}
