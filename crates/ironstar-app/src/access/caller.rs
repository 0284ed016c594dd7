//! Who asks for something.

use ironstar_domain::{Access, Link, LinkId, ListDetails, ListId, ListState, Principal};

use super::links::PresentedLink;

/// Who asks for something, and what proves what they may do.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// All that they are. What they make belongs to the first.
    principals: Vec<Principal>,
    /// The link that they have come by.
    link: Option<PresentedLink>,
    /// The part of the application that asks, if nobody outside does.
    application: Option<&'static str>,
    /// Where a request without a session comes from.
    place: Option<String>,
}

impl Caller {
    /// Somebody of whom nothing is known.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Somebody who is one of these, or several. What they make belongs to the
    /// first.
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

    /// The same, who has come by a link.
    #[must_use]
    pub fn by_link(self, link: Option<PresentedLink>) -> Self {
        Self { link, ..self }
    }

    /// The same, whose request has come without a session from this place: a name
    /// without spaces.
    #[must_use]
    pub fn from_place(self, place: String) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// The same visitor, whose session has begun with this request.
    #[must_use]
    pub fn with_session(&self, began: Self) -> Self {
        Self {
            place: self.place.clone(),
            link: self.link.clone(),
            ..began
        }
    }

    /// The same, known by a session alone.
    #[must_use]
    pub(crate) fn by_session(&self) -> Self {
        Self {
            place: self.place.clone().filter(|_| self.principals.is_empty()),
            ..self.clone()
        }
    }

    /// Whose the keys of commands are.
    pub(crate) fn sender(&self) -> String {
        match (&self.place, &*self.principals) {
            (Some(place), []) => anonymous_at(place),
            (Some(_) | None, _) => self.actor(),
        }
    }

    /// Whose the keys of commands are as well: the place that the request has come from
    /// without a session.
    pub(crate) fn second_sender(&self) -> Option<String> {
        let place = self.place.as_ref()?;
        (!self.principals.is_empty()).then(|| anonymous_at(place))
    }

    /// Who the caller was before, such as the guest who has become a user.
    pub(crate) fn earlier_senders(&self) -> impl Iterator<Item = String> {
        self.principals.iter().skip(1).map(ToString::to_string)
    }

    /// Whose is what they make; `None`: nobody is known.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        self.principals.first().copied()
    }

    /// All that they are.
    #[must_use]
    pub fn principals(&self) -> &[Principal] {
        &self.principals
    }

    /// How they are named in the metadata of events.
    pub(crate) fn actor(&self) -> String {
        match (self.application, self.principal()) {
            (Some(name), _) => format!("application/{name}"),
            (None, Some(principal)) => principal.to_string(),
            (None, None) => "anonymous".to_owned(),
        }
    }

    /// What they may do with a list that is in this state.
    #[must_use]
    pub fn access(&self, id: ListId, list: &ListState) -> Access {
        if id.is_shared() {
            return Access::Edit;
        }
        match list.details() {
            None => {
                // A visitor with a link must not learn from how long it takes.
                self.link_among(id, &[]);
                Access::None
            }
            Some(_) if self.application.is_some() => Access::Own,
            Some(list) => self.access_to(id, list),
        }
    }

    fn access_to(&self, id: ListId, list: &ListDetails) -> Access {
        match list.access(&self.principals, None) {
            Access::Own => Access::Own,
            Access::None | Access::Read | Access::Edit => {
                list.access(&self.principals, self.link_among(id, &list.links))
            }
        }
    }

    /// Which of these links of a list they have come by.
    fn link_among(&self, id: ListId, links: &[Link]) -> Option<LinkId> {
        let link = self.link.as_ref();
        link.and_then(|link| link.among(id, links))
    }
}

fn anonymous_at(place: &str) -> String {
    format!("anonymous/{place}")
}
