//! The links that give other callers access to an aggregate: unguessable, and never stored.
//!
//! The log contains only the id of a link, which opens nothing. The token that opens the
//! aggregate is the HMAC-SHA-256 (RFC 2104) of the ids of aggregate and link, cut to 192 bits. Its
//! secret belongs to this installation only. So neither the log nor a reader of the log can
//! give access. The owner can see the link at any time, and a link is revoked as soon as the
//! log has that event.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ironstar_domain::{Link, LinkId, Owned, Ownership};
use sha2::Sha256;
use uuid::Uuid;

/// The length of a token, in bytes.
const BYTES: usize = 24;

/// Makes and checks the links of an installation.
#[derive(Clone)]
pub struct Links {
    /// The MAC, keyed with the secret.
    mac: Hmac<Sha256>,
}

/// The token that opens an aggregate: 32 characters of base64url.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LinkToken([u8; BYTES]);

/// The aggregate that links belong to, as part of their tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkScope(String);

/// The text is not a [`LinkToken`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a link ends with 32 letters, digits, '-' and '_'; it may have been cut off")]
pub struct LinkTokenError;

/// A token that a caller has presented. It may or may not open an aggregate.
#[derive(Clone, Debug)]
pub struct PresentedLink {
    links: Links,
    token: LinkToken,
    /// The link that the token belongs to, once it is found. It never changes.
    found: Arc<OnceLock<(LinkScope, LinkId)>>,
}

impl LinkScope {
    /// The scope of the links of an aggregate.
    #[must_use]
    pub fn of<A: Owned>(id: &A::Id) -> Self {
        Self(match A::LINK_SCOPE {
            "" => format!("link/{id}"),
            scope => format!("link/{scope}/{id}"),
        })
    }
}

impl Links {
    /// The links of the installation with this secret. Each installation has its own.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length");
        Self { mac }
    }

    /// The token of a link.
    #[must_use]
    pub fn token(&self, scope: &LinkScope, link: LinkId) -> LinkToken {
        let tag = self.tag(scope, link).finalize().into_bytes();
        let mut token = [0; BYTES];
        token.copy_from_slice(&tag[..BYTES]);
        LinkToken(token)
    }

    /// The token of a link of the aggregate with this id.
    #[must_use]
    pub fn token_of<A: Owned>(&self, id: &A::Id, link: LinkId) -> LinkToken {
        self.token(&LinkScope::of::<A>(id), link)
    }

    /// An id that belongs to a name. It is the same each time, even for concurrent requests, and
    /// other callers cannot predict it. The name begins with the purpose, such as `first/`.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Uuid {
        let mac = self.mac.clone().chain_update(name);
        let tag = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }

    /// A name for an address that must not be stored itself. Equal addresses have equal names
    /// on all nodes of the installation, but not on other installations. The name has 22
    /// characters of base64url.
    #[must_use]
    pub fn place(&self, address: &str) -> String {
        let mac = self.mac.clone().chain_update(format!("place/{address}"));
        BASE64_URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }

    /// A token that a caller has presented.
    #[must_use]
    pub fn presented(&self, token: LinkToken) -> PresentedLink {
        PresentedLink {
            links: self.clone(),
            token,
            found: Arc::default(),
        }
    }

    fn tag(&self, LinkScope(scope): &LinkScope, link: LinkId) -> Hmac<Sha256> {
        #[cfg(test)]
        tests::TAGS.set(tests::TAGS.get() + 1);
        let mac = self.mac.clone();
        mac.chain_update(format!("{scope}/{link}"))
    }
}

impl PresentedLink {
    /// Finds the link of an aggregate that the token belongs to. A search without success always
    /// takes the same time, whether there are many links, few, or no such aggregate. It always
    /// compares the maximum number of links, and each comparison takes the same time, so time
    /// reveals nothing.
    pub(super) fn among(&self, scope: &LinkScope, links: &[Link]) -> Option<LinkId> {
        let is_there = |id: LinkId| links.iter().any(|link| link.id == id);
        if let Some((of, id)) = self.found.get()
            && of == scope
            && is_there(*id)
        {
            return Some(*id);
        }
        // Stands for the links that are not there.
        let no_link = LinkId::from(Uuid::nil());
        let mut found = None;
        for index in 0..links.len().max(Ownership::MAX_LINKS) {
            let link = links.get(index).map(|link| link.id);
            let tag = self.links.tag(scope, link.unwrap_or(no_link));
            if tag.verify_truncated_left(&self.token.0).is_ok() && link.is_some() {
                found = link;
            }
        }
        if let Some(id) = found {
            // A concurrent caller has found the same link.
            let _ = self.found.set((scope.clone(), id));
        }
        found
    }
}

impl FromStr for LinkToken {
    type Err = LinkTokenError;

    fn from_str(text: &str) -> Result<Self, LinkTokenError> {
        let mut token = [0; BYTES];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut token) {
            Ok(BYTES) => Ok(Self(token)),
            Ok(_) | Err(_) => Err(LinkTokenError),
        }
    }
}

impl Display for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

impl Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ironstar_domain::{Access, LinkAccess, LinkId, Ownership, OwnershipEvent, Principal};
    use uuid::Uuid;

    use super::{LinkScope, LinkToken, LinkTokenError, Links};
    use crate::caller::Caller;

    thread_local! {
        /// The number of tags that this thread has made.
        pub(super) static TAGS: Cell<usize> = const { Cell::new(0) };
    }

    /// The number of tags that a piece of work makes.
    fn tags<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = TAGS.get();
        let outcome = work();
        (TAGS.get() - before, outcome)
    }

    fn scope(number: u128) -> LinkScope {
        LinkScope(format!("link/{}", Uuid::from_u128(number)))
    }

    fn link(number: u128) -> LinkId {
        Uuid::from_u128(number).into()
    }

    /// An aggregate with an owner, and with this number of links.
    fn owned(links: usize) -> Ownership {
        let owner = Ownership::of(Some(Principal::Guest(Uuid::from_u128(7).into())));
        (1..=links).fold(owner, |ownership, number| {
            ownership.apply(&OwnershipEvent::LinkCreated {
                link: link(number as u128),
                access: LinkAccess::Read,
            })
        })
    }

    #[test]
    fn refusal_takes_the_same_work_whether_there_is_an_aggregate_or_not() {
        let links = Links::new([1; 32]);
        let wrong = links.token(&scope(1), link(9_999));
        let owned = [0, 1, 5, Ownership::MAX_LINKS].map(owned);
        for ownership in owned.iter().map(Some).chain([None]) {
            let caller = Caller::anonymous().by_link(Some(links.presented(wrong)));
            for _ in 0..2 {
                let (count, access) = tags(|| caller.access_by(&scope(1), ownership));
                assert_eq!((count, access), (Ownership::MAX_LINKS, Access::None));
            }
            let (count, _) = tags(|| Caller::anonymous().access_by(&scope(1), ownership));
            assert_eq!(count, 0, "a caller without a link needs no tag");
        }
    }

    #[test]
    fn known_link_needs_no_search_until_it_is_revoked() {
        let links = Links::new([1; 32]);
        let presented = links.presented(links.token(&scope(1), link(2)));
        let caller = Caller::anonymous().by_link(Some(presented));
        let ownership = owned(3);
        let access = caller.access_by(&scope(1), Some(&ownership));
        assert_eq!(access, Access::Read);
        let (count, access) = tags(|| caller.clone().access_by(&scope(1), Some(&ownership)));
        assert_eq!((count, access), (0, Access::Read));
        let elsewhere = caller.access_by(&scope(2), Some(&ownership));
        assert_eq!(elsewhere, Access::None);
        let revoked = ownership.apply(&OwnershipEvent::LinkRevoked { link: link(2) });
        let (count, access) = tags(|| caller.access_by(&scope(1), Some(&revoked)));
        assert_eq!((count, access), (Ownership::MAX_LINKS, Access::None));
    }

    #[test]
    fn token_opens_its_own_aggregate_and_no_other() {
        let links = Links::new([1; 32]);
        let known = owned(2).links;
        let token = links.token(&scope(1), link(2));
        let presented = links.presented(token);
        assert_eq!(presented.among(&scope(1), &known), Some(link(2)));
        assert_eq!(presented.among(&scope(2), &known), None);
        assert_eq!(presented.among(&scope(1), &known[..1]), None);
        let others = Links::new([2; 32]).presented(token);
        assert_eq!(others.among(&scope(1), &known), None);
    }

    #[test]
    fn id_of_a_name_is_always_the_same() {
        let links = Links::new([1; 32]);
        let first = links.id_of("first/1");
        assert_eq!(links.id_of("first/1"), first);
        assert_ne!(links.id_of("first/2"), first);
        assert_ne!(Links::new([2; 32]).id_of("first/1"), first);
    }

    #[test]
    fn token_has_32_characters_and_its_debug_form_hides_them() {
        let token = Links::new([1; 32]).token(&scope(1), link(1));
        let text = token.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse(), Ok(token));
        assert!(!format!("{token:?}").contains(&text));
        for malformed in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            &text.replace(&text[..1], "+"),
        ] {
            let parsed = malformed.parse::<LinkToken>();
            assert_eq!(parsed, Err(LinkTokenError), "{malformed}");
        }
    }
}
