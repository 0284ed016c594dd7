//! The links that let others in: unguessable, and nowhere stored.
//!
//! What is in the log of a link is its id, which opens nothing. The token that does
//! is the HMAC-SHA-256 (RFC 2104) of the ids of the list and the link, with a
//! secret that only this installation has, cut to 192 bits. So neither the log, nor
//! whoever may read it, can let anybody in; the owner gets to see the link at any
//! time; and a link is revoked as soon as the log says so.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ironstar_domain::{Link, LinkId, ListId, ListState, Principal};
use sha2::Sha256;

/// How many bytes a token has.
const BYTES: usize = 24;

/// Makes and checks the links of an installation.
#[derive(Clone)]
pub struct Links {
    /// The secret, at work.
    mac: Hmac<Sha256>,
}

/// What opens a list: 32 characters of base64url.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LinkToken([u8; BYTES]);

/// Why a text is not a [`LinkToken`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a link ends with 32 letters, digits, '-' and '_'; it may have been cut off")]
pub struct LinkTokenError;

/// A token that somebody has come with, which may or may not open something.
#[derive(Clone, Debug)]
pub struct PresentedLink {
    links: Links,
    token: LinkToken,
    /// The link that it is, once that was found out. It never is another.
    found: Arc<OnceLock<(ListId, LinkId)>>,
}

impl Links {
    /// The links of the installation that has this secret, and no other has.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length");
        Self { mac }
    }

    /// What opens a list by one of its links.
    #[must_use]
    pub fn token(&self, list: ListId, link: LinkId) -> LinkToken {
        let tag = self.tag(list, link).finalize().into_bytes();
        let mut token = [0; BYTES];
        token.copy_from_slice(&tag[..BYTES]);
        LinkToken(token)
    }

    /// The id of the list that is made for somebody who has none: the same one each
    /// time, however many ask for it at once, and one that nobody else can foresee.
    #[must_use]
    pub fn first_list(&self, owner: Principal) -> ListId {
        let mac = self.mac.clone().chain_update(format!("first/{owner}"));
        let tag = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid().into()
    }

    /// A name for an address of which nothing but its sameness may be stored: the same
    /// on every node of the installation, and no other installation has it. The name
    /// has 22 characters of base64url.
    #[must_use]
    pub fn place(&self, address: &str) -> String {
        let mac = self.mac.clone().chain_update(format!("place/{address}"));
        BASE64_URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }

    /// What somebody has come with.
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
    /// Which of the links of a list it is. If it is none of them, that takes as long
    /// however many there are, and as long for a list that does not exist: as many are
    /// looked at as there may be, each for as long, so that time tells nothing.
    pub(super) fn among(&self, list: ListId, links: &[Link]) -> Option<LinkId> {
        let is_there = |id: LinkId| links.iter().any(|link| link.id == id);
        if let Some((of, id)) = self.found.get()
            && *of == list
            && is_there(*id)
        {
            return Some(*id);
        }
        // Stands for those that the list does not have.
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
            // The caller that was there first has found the same.
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
        /// How many tags this thread has made.
        pub(super) static TAGS: Cell<usize> = const { Cell::new(0) };
    }

    /// How many tags something makes.
    fn tags<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = TAGS.get();
        let outcome = work();
        (TAGS.get() - before, outcome)
    }

    /// A list of somebody's, with so many links.
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
            assert_eq!(count, 0, "who has no link tells nothing by it");
        }
    }

    #[test]
    fn link_that_was_found_is_not_looked_for_again_until_it_is_revoked() {
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
    fn a_token_opens_the_list_that_it_was_made_for_and_no_other() {
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
    fn the_first_list_of_somebody_is_always_the_same() {
        let owner = |number| Principal::Guest(Uuid::from_u128(number).into());
        let links = Links::new([1; 32]);
        let first = links.first_list(owner(1));
        assert_eq!(links.first_list(owner(1)), first);
        assert_ne!(links.first_list(owner(2)), first);
        assert_ne!(Links::new([2; 32]).first_list(owner(1)), first);
    }

    #[test]
    fn a_token_is_32_characters_and_shows_up_in_no_log() {
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
