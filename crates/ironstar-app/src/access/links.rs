//! The links that give other callers access to a list: unguessable, and never stored.
//!
//! The log contains only the id of a link, which opens nothing. The token that opens the list
//! is the HMAC-SHA-256 (RFC 2104) of the ids of the list and the link, cut to 192 bits. Its
//! secret belongs to this installation only. So neither the log nor a reader of the log can
//! give access. The owner can see the link at any time, and a link is revoked as soon as the
//! log has that event.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ironstar_domain::{Link, LinkId, ListId, ListState, Principal};
use sha2::Sha256;

/// The length of a token, in bytes.
const BYTES: usize = 24;

/// Makes and checks the links of an installation.
#[derive(Clone)]
pub struct Links {
    /// The MAC, keyed with the secret.
    mac: Hmac<Sha256>,
}

/// The token that opens a list: 32 characters of base64url.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LinkToken([u8; BYTES]);

/// The text is not a [`LinkToken`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a link ends with 32 letters, digits, '-' and '_'; it may have been cut off")]
pub struct LinkTokenError;

/// A token that a caller has presented. It may or may not open a list.
#[derive(Clone, Debug)]
pub struct PresentedLink {
    links: Links,
    token: LinkToken,
    /// The link that the token belongs to, once it is found. It never changes.
    found: Arc<OnceLock<(ListId, LinkId)>>,
}

impl Links {
    /// The links of the installation with this secret. Each installation has its own.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length");
        Self { mac }
    }

    /// The token of one of a list's links.
    #[must_use]
    pub fn token(&self, list: ListId, link: LinkId) -> LinkToken {
        let tag = self.tag(list, link).finalize().into_bytes();
        let mut token = [0; BYTES];
        token.copy_from_slice(&tag[..BYTES]);
        LinkToken(token)
    }

    /// The id of the list that is created for a visitor without lists. It is the same each
    /// time, even for concurrent requests, and other callers cannot predict it.
    #[must_use]
    pub fn first_list(&self, owner: Principal) -> ListId {
        let mac = self.mac.clone().chain_update(format!("first/{owner}"));
        let tag = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid().into()
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

    fn tag(&self, list: ListId, link: LinkId) -> Hmac<Sha256> {
        #[cfg(test)]
        tests::TAGS.set(tests::TAGS.get() + 1);
        let mac = self.mac.clone();
        mac.chain_update(format!("link/{list}/{link}"))
    }
}

impl PresentedLink {
    /// Finds the link of a list that the token belongs to. A search without success always
    /// takes the same time, whether the list has many links, few, or does not exist. It always
    /// compares the maximum number of links, and each comparison takes the same time, so time
    /// reveals nothing.
    pub(super) fn among(&self, list: ListId, links: &[Link]) -> Option<LinkId> {
        let is_there = |id: LinkId| links.iter().any(|link| link.id == id);
        if let Some((of, id)) = self.found.get()
            && *of == list
            && is_there(*id)
        {
            return Some(*id);
        }
        // Stands for the links that the list does not have.
        let no_link = LinkId::from(uuid::Uuid::nil());
        let mut found = None;
        for index in 0..links.len().max(ListState::MAX_LINKS) {
            let link = links.get(index).map(|link| link.id);
            let tag = self.links.tag(list, link.unwrap_or(no_link));
            if tag.verify_truncated_left(&self.token.0).is_ok() && link.is_some() {
                found = link;
            }
        }
        if let Some(id) = found {
            // A concurrent caller has found the same link.
            let _ = self.found.set((list, id));
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

    use ironstar_domain::Aggregate;
    use ironstar_domain::{
        Access, Link, LinkAccess, LinkId, ListEvent, ListId, ListState, Principal,
    };
    use uuid::Uuid;

    use super::{LinkToken, LinkTokenError, Links};
    use crate::access::Caller;

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

    /// A list with an owner, and with this number of links.
    fn somebodys(links: usize) -> ListState {
        let created = ListEvent::Created {
            name: "Groceries".parse().expect("valid"),
            owner: Some(Principal::Guest(Uuid::from_u128(7).into())),
        };
        let links = (1..=links).map(|number| ListEvent::LinkCreated {
            link: link(number as u128),
            access: LinkAccess::Read,
        });
        let events = std::iter::once(created).chain(links);
        events.fold(ListState::default(), |list, event| list.apply(&event))
    }

    #[test]
    fn refusal_takes_the_same_work_whether_there_is_a_list_or_not() {
        let links = Links::new([1; 32]);
        let wrong = links.token(list(1), link(9_999));
        let lists = [0, 1, 5, ListState::MAX_LINKS].map(somebodys);
        for state in lists.iter().chain([&ListState::default()]) {
            let caller = Caller::anonymous().by_link(Some(links.presented(wrong)));
            for _ in 0..2 {
                let (count, access) = tags(|| caller.access(list(1), state));
                assert_eq!((count, access), (ListState::MAX_LINKS, Access::None));
            }
            let (count, _) = tags(|| Caller::anonymous().access(list(1), state));
            assert_eq!(count, 0, "a caller without a link needs no tag");
        }
    }

    #[test]
    fn known_link_needs_no_search_until_it_is_revoked() {
        let links = Links::new([1; 32]);
        let presented = links.presented(links.token(list(1), link(2)));
        let caller = Caller::anonymous().by_link(Some(presented));
        let state = somebodys(3);
        assert_eq!(caller.access(list(1), &state), Access::Read);
        let (count, access) = tags(|| caller.clone().access(list(1), &state));
        assert_eq!((count, access), (0, Access::Read));
        assert_eq!(caller.access(list(2), &state), Access::None);
        let revoked = state.apply(&ListEvent::LinkRevoked { link: link(2) });
        let (count, access) = tags(|| caller.access(list(1), &revoked));
        assert_eq!((count, access), (ListState::MAX_LINKS, Access::None));
    }

    fn list(number: u128) -> ListId {
        Uuid::from_u128(number).into()
    }

    fn link(number: u128) -> LinkId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn token_opens_its_own_list_and_no_other() {
        let links = Links::new([1; 32]);
        let known = [1, 2].map(|number| Link {
            id: link(number),
            access: LinkAccess::Read,
        });
        let token = links.token(list(1), link(2));
        let presented = links.presented(token);
        assert_eq!(presented.among(list(1), &known), Some(link(2)));
        assert_eq!(presented.among(list(2), &known), None);
        assert_eq!(presented.among(list(1), &known[..1]), None);
        let others = Links::new([2; 32]).presented(token);
        assert_eq!(others.among(list(1), &known), None);
    }

    #[test]
    fn first_list_of_an_owner_is_always_the_same() {
        let owner = |number| Principal::Guest(Uuid::from_u128(number).into());
        let links = Links::new([1; 32]);
        let first = links.first_list(owner(1));
        assert_eq!(links.first_list(owner(1)), first);
        assert_ne!(links.first_list(owner(2)), first);
        assert_ne!(Links::new([2; 32]).first_list(owner(1)), first);
    }

    #[test]
    fn token_has_32_characters_and_its_debug_form_hides_them() {
        let token = Links::new([1; 32]).token(list(1), link(1));
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
