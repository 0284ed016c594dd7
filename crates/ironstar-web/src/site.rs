//! The name of the site, the operator's settings for it as a whole, and the links above its
//! pages.

use std::fmt::{self, Display};
use std::str::FromStr;

use axum::http::uri::{Authority, Scheme, Uri};
use thiserror::Error;

/// The name of the site, and the operator's settings for it as a whole.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The name of the site.
    pub name: SiteName,
    /// The public address of the site. If it is `None`, links use the host of the request, and
    /// cookies are those of a site without TLS.
    pub address: Option<SiteAddress>,
}

/// The name of a site, such as `ironstar`. It begins the titles of all pages. It is also part of
/// the name of the session cookie, so that visitors keep one session with each of several
/// applications on the same host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SiteName(&'static str);

/// A link above every page.
#[derive(Clone, Copy, Debug)]
pub struct Navigation {
    /// The address of a page of the site, such as `/lists`.
    pub address: &'static str,
    /// The text of the link.
    pub label: &'static str,
}

/// The public address of a site, such as `https://example.org`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteAddress {
    is_secure: bool,
    authority: Authority,
}

/// The error for a text that is not a [`SiteAddress`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the address must look like 'https://example.org', without a path")]
pub struct SiteAddressError;

impl SiteName {
    /// A name of lower-case letters, digits and hyphens.
    ///
    /// # Panics
    ///
    /// If the name is empty or contains another character; at compile time, if the name is a
    /// constant.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let mut rest = name.as_bytes();
        assert!(!rest.is_empty(), "the name of a site must not be empty");
        while let [byte, others @ ..] = rest {
            assert!(
                matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'),
                "the name of a site must consist of lower-case letters, digits and hyphens"
            );
            rest = others;
        }
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The title of a page, as the browser shows it.
    #[must_use]
    pub fn title(self, page: &str) -> String {
        format!("{self} · {page}")
    }
}

impl Default for SiteName {
    fn default() -> Self {
        Self::new("ironstar")
    }
}

impl Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl SiteAddress {
    /// Returns true if browsers reach the site over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The scheme, `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// The host, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }
}

impl FromStr for SiteAddress {
    type Err = SiteAddressError;

    fn from_str(text: &str) -> Result<Self, SiteAddressError> {
        let parts = Uri::from_str(text)
            .map_err(|_| SiteAddressError)?
            .into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(SiteAddressError);
        };
        let is_secure = scheme == Scheme::HTTPS;
        let has_path = parts.path_and_query.is_some_and(|path| path != "/");
        let has_user = authority.as_str().contains('@');
        if has_path || has_user || !(is_secure || scheme == Scheme::HTTP) {
            return Err(SiteAddressError);
        }
        // Browsers leave out the default port of a scheme.
        let usual = if is_secure { 443 } else { 80 };
        let authority = if authority.port_u16() == Some(usual) {
            Authority::from_str(authority.host()).map_err(|_| SiteAddressError)?
        } else {
            authority
        };
        Ok(Self {
            is_secure,
            authority,
        })
    }
}

impl Display for SiteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::{SiteAddress, SiteAddressError, SiteName};

    #[test]
    fn site_name_fits_into_the_name_of_a_cookie() {
        let name = SiteName::new("book-club-2");
        assert_eq!(name.title("books"), "book-club-2 · books");
        for refused in ["", "Books", "book club", "books;", "books=", "büche"] {
            let made = std::panic::catch_unwind(|| SiteName::new(refused));
            made.expect_err(refused);
        }
    }

    #[test]
    fn site_address_is_a_scheme_and_a_host() {
        for (text, is_secure, host) in [
            ("https://example.org", true, "example.org"),
            ("http://localhost:3000", false, "localhost"),
            ("http://[::1]:3000", false, "[::1]"),
        ] {
            let address: SiteAddress = text.parse().expect("an address");
            assert_eq!((address.is_secure(), address.host()), (is_secure, host));
            assert_eq!(address.to_string(), text);
        }
        for (text, shown) in [
            ("https://example.org:443", "https://example.org"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://example.org:80", "https://example.org:80"),
        ] {
            let address: SiteAddress = text.parse().expect("an address");
            assert_eq!(address.to_string(), shown);
        }
        assert_eq!(
            "https://Example.org".parse(),
            "https://example.org".parse::<SiteAddress>()
        );
        let slash: SiteAddress = "https://example.org/".parse().expect("an address");
        assert_eq!(slash.to_string(), "https://example.org");
        for text in [
            "",
            "example.org",
            "/path",
            "ftp://example.org",
            "https://example.org/path",
            "https://example.org/?query",
            "https://user@example.org",
            "https://",
        ] {
            assert_eq!(text.parse::<SiteAddress>(), Err(SiteAddressError), "{text}");
        }
    }
}
