//! The cookie by which a browser holds its session.

use std::fmt::{self, Debug};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ironstar_ports::SessionHash;
use sha2::{Digest, Sha256};

use crate::site::SiteName;

/// The length of an id in bytes, which is 192 bits.
const BYTES: usize = 24;

/// The secret that makes a browser the holder of a session. No log, page or event ever
/// contains it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionId([u8; BYTES]);

/// The form of the session cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    site: SiteName,
    is_secure: bool,
}

impl SessionId {
    pub(crate) fn new(secret: [u8; BYTES]) -> Self {
        Self(secret)
    }

    /// The hash under which the store keeps the session. It needs no salt, because the bits
    /// are random.
    pub(crate) fn hash(self) -> SessionHash {
        SessionHash::new(self.derived("session"))
    }

    /// A name of the session that may appear on the bus. It differs from the hash in the store,
    /// and does not reveal the secret.
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
    /// The cookies of a site with or without TLS.
    pub(crate) fn new(site: SiteName, is_secure: bool) -> Self {
        Self { site, is_secure }
    }

    /// The parts of the name of the cookie. With the prefix `__Host-`, browsers accept the cookie
    /// only from this very host, over TLS
    /// (<https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2>).
    fn name(self) -> [&'static str; 3] {
        let prefix = if self.is_secure { "__Host-" } else { "" };
        [prefix, self.site.as_str(), "_session"]
    }

    /// The id in the request's cookies, if there is exactly one that could be valid. If there
    /// are several different ids, another site may have planted one, so none counts.
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<SessionId> {
        let pairs = headers.get_all(header::COOKIE).into_iter();
        let pairs = pairs.flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'));
        let mut ids = pairs.filter_map(|pair| {
            let value = self
                .name()
                .iter()
                .try_fold(pair.trim_ascii(), |rest, part| {
                    rest.strip_prefix(part.as_bytes())
                })?;
            SessionId::parse(value.strip_prefix(b"=")?)
        });
        let id = ids.next()?;
        ids.all(|other| other == id).then_some(id)
    }

    /// The header value that makes a browser keep an id.
    pub(crate) fn write(self, id: SessionId, age: Duration) -> HeaderValue {
        let (name, seconds) = (self.name().concat(), age.as_secs());
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
    use crate::site::SiteName;

    const ID: SessionId = SessionId([7; 24]);
    const TEXT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn cookies(is_secure: bool) -> Cookies {
        Cookies::new(SiteName::default(), is_secure)
    }

    fn read(cookies: Cookies, lines: &[&str]) -> Option<SessionId> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_str(line).expect("a header");
            headers.append(header::COOKIE, line);
        }
        cookies.read(&headers)
    }

    #[test]
    fn written_cookie_is_read_again() {
        let age = Duration::from_secs(60);
        for (cookies, written) in [
            (
                cookies(false),
                "ironstar_session=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH; HttpOnly; SameSite=Lax; \
                 Path=/; Max-Age=60",
            ),
            (
                cookies(true),
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
    fn invalid_id_counts_as_no_cookie() {
        let cookies = cookies(false);
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
        // A site with TLS ignores a cookie that an attacker in the network could have set.
        let insecure = format!("ironstar_session={TEXT}");
        assert_eq!(read(self::cookies(true), &[&insecure]), None);
    }

    #[test]
    fn applications_on_one_host_have_a_cookie_each() {
        let library = Cookies::new(SiteName::new("library"), false);
        let todos = cookies(false);
        let both = [
            format!("ironstar_session={TEXT}"),
            format!("library_session={}", TEXT.to_uppercase()),
        ]
        .join("; ");
        assert_eq!(read(todos, &[&both]), Some(ID));
        let theirs = read(library, &[&both]).expect("an id");
        assert_ne!(theirs, ID);
        let written = library.write(theirs, Duration::from_secs(60));
        let written = written.to_str().expect("text");
        assert!(written.starts_with("library_session="), "{written}");
        assert_eq!(read(todos, &[written]), None);
    }

    #[test]
    fn public_names_of_an_id_do_not_reveal_it() {
        let hash = ID.hash();
        let hex: String = hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        // Another implementation of SHA-256 has computed this. The stored form must not change.
        let expected = "c03235f01a57c687488954a8c43824022057b5d2cf93c0a2a527d7622dbc7709";
        assert_eq!(hex, expected);
        assert_eq!(ID.key().len(), 32);
        assert!(!hex.starts_with(&ID.key()) && !hex.ends_with(&ID.key()));
        assert_ne!(SessionId([8; 24]).key(), ID.key());
        assert!(!format!("{ID:?}{ID:#?}").contains('7'));
    }
}
