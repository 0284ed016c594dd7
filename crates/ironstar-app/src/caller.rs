//! The authenticated identity behind a request, and the links that it may present.

mod links;

use ironstar_domain::{Access, Link, LinkId, Owned, Ownership, Principal};

pub use links::{LinkScope, LinkToken, LinkTokenError, Links, PresentedLink};

/// The identity behind a request, with the proof of its rights.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// All identities of the caller. The first owns all that the caller creates.
    principals: Vec<Principal>,
    /// The link that the caller has presented.
    link: Option<PresentedLink>,
    /// The part of the application that acts, for a request that comes from inside.
    application: Option<&'static str>,
    /// The network location of a request without a session.
    place: Option<String>,
}

impl Caller {
    /// A caller without any identity.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A caller with one or several identities. The first owns all that the caller creates.
    #[must_use]
    pub fn of(principals: Vec<Principal>) -> Self {
        Self {
            principals,
            ..Self::default()
        }
    }

    /// A part of the application itself, by its name. It may do everything.
    #[must_use]
    pub fn application(name: &'static str) -> Self {
        Self {
            application: Some(name),
            ..Self::default()
        }
    }

    /// The same caller, with a link that it has presented.
    #[must_use]
    pub fn by_link(self, link: Option<PresentedLink>) -> Self {
        Self { link, ..self }
    }

    /// The same caller, with the network location of its request without a session. `place` is
    /// a name without spaces.
    #[must_use]
    pub fn from_place(self, place: String) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// The caller `began`, whose session has begun with this request. Keeps this caller's place
    /// and link.
    #[must_use]
    pub fn with_session(&self, began: Self) -> Self {
        Self {
            place: self.place.clone(),
            link: self.link.clone(),
            ..began
        }
    }

    /// The same caller, identified by its session alone.
    #[must_use]
    pub(crate) fn by_session(&self) -> Self {
        Self {
            place: self.place.clone().filter(|_| self.principals.is_empty()),
            ..self.clone()
        }
    }

    /// The sender that the keys of this caller's commands belong to.
    pub(crate) fn sender(&self) -> String {
        match (&self.place, &*self.principals) {
            (Some(place), []) => anonymous_at(place),
            (Some(_) | None, _) => self.actor(),
        }
    }

    /// The second sender that the keys also belong to: the network location, if the request
    /// came without a session.
    pub(crate) fn second_sender(&self) -> Option<String> {
        let place = self.place.as_ref()?;
        (!self.principals.is_empty()).then(|| anonymous_at(place))
    }

    /// The earlier identities of the caller, such as the guest that has become a user.
    pub(crate) fn earlier_senders(&self) -> impl Iterator<Item = String> {
        self.principals.iter().skip(1).map(ToString::to_string)
    }

    /// The owner of all that this caller creates; `None` if the caller is unknown.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        self.principals.first().copied()
    }

    /// All identities of the caller.
    #[must_use]
    pub fn principals(&self) -> &[Principal] {
        &self.principals
    }

    /// The name of the caller in the metadata of events.
    pub(crate) fn actor(&self) -> String {
        match (self.application, self.principal()) {
            (Some(name), _) => format!("application/{name}"),
            (None, Some(principal)) => principal.to_string(),
            (None, None) => "anonymous".to_owned(),
        }
    }

    /// The rights of the caller to an aggregate in this state.
    #[must_use]
    pub fn access<A: Owned>(&self, id: &A::Id, aggregate: &A) -> Access {
        match A::open_to_all(id) {
            Some(access) => access,
            None => self.access_by(&LinkScope::of::<A>(id), aggregate.ownership()),
        }
    }

    /// The rights of the caller to an aggregate with this ownership, or without one, because it
    /// does not exist.
    pub(crate) fn access_by(&self, scope: &LinkScope, ownership: Option<&Ownership>) -> Access {
        let Some(ownership) = ownership else {
            // A visitor with a link must not learn from the response time that the aggregate
            // does not exist.
            self.link_among(scope, &[]);
            return Access::None;
        };
        if self.application.is_some() {
            return Access::Own;
        }
        match ownership.access(&self.principals, None) {
            Access::Own => Access::Own,
            Access::None | Access::Read | Access::Edit => {
                let link = self.link_among(scope, &ownership.links);
                ownership.access(&self.principals, link)
            }
        }
    }

    /// The one of these links that the caller has presented.
    fn link_among(&self, scope: &LinkScope, links: &[Link]) -> Option<LinkId> {
        let link = self.link.as_ref();
        link.and_then(|link| link.among(scope, links))
    }
}

fn anonymous_at(place: &str) -> String {
    format!("anonymous/{place}")
}
