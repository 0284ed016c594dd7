//! The part of a list that a page shows, and the address of that page.

use std::fmt::{self, Display};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use ironstar_app::caller::LinkToken;
use ironstar_app::todo::Show;
use ironstar_domain::Access;
use ironstar_domain::list::ListId;
use ironstar_ports::{LogPlace, Position};

use super::{Home, Todos};
use crate::edge::problem::Problem;
use crate::stream::sse::parse_position;

/// A part of a list. Its text is a query, such as `?list=…&show=active`, and empty for the
/// whole shared list. [`Asked`] reads the query back, except for the visitor's right.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Location {
    pub(super) list: ListId,
    pub(super) show: Show,
    /// The part begins after the todo that was created at this position.
    pub(super) after: Option<Position>,
    /// The link that the visitor came by.
    pub(super) link: Option<LinkToken>,
    /// The right of the visitor.
    pub(super) mode: Mode,
    /// The kind of list that is at `/`.
    pub(super) home: Home,
}

/// A visitor's right to a part of a list.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) enum Mode {
    #[default]
    Edit,
    /// The visitor can only view it.
    Read,
}

/// The parameters of a query, as they were sent.
#[derive(Debug, Default)]
struct Said {
    list: Option<String>,
    show: Option<String>,
    after: Option<String>,
    at_least: Option<String>,
    limit: Option<String>,
    link: Option<String>,
}

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) location: Location,
    /// The answer includes all events up to this place; `None`: all that are stored now.
    pub(super) at_least: Option<LogPlace>,
    /// The largest number of todos in the answer.
    pub(super) limit: Option<usize>,
}

impl Location {
    /// The first page of these todos of the list.
    pub(super) fn showing(self, show: Show) -> Self {
        Self {
            show,
            after: None,
            ..self
        }
    }

    /// The same part, for a visitor with this right.
    pub(super) fn for_access(self, access: Access) -> Self {
        let mode = if access >= Access::Edit {
            Mode::Edit
        } else {
            Mode::Read
        };
        // The owner needs no link.
        let link = self.link.filter(|_| access < Access::Own);
        Self { mode, link, ..self }
    }

    pub(super) fn may_be_edited(self) -> bool {
        self.mode == Mode::Edit
    }

    /// The address of the page that shows it.
    pub(super) fn page(self) -> String {
        let list = match (self.list, self.home) {
            (ListId::SHARED, Home::Shared) => String::new(),
            (list, _) => format!("/lists/{list}"),
        };
        let path = match self.show {
            Show::All => list,
            Show::Active => format!("{list}/active"),
            Show::Completed => format!("{list}/completed"),
        };
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path
        };
        let after = self.after.map(|after| format!("after={after}"));
        let query: Vec<String> = after.into_iter().chain(self.link_field()).collect();
        if query.is_empty() {
            return path;
        }
        format!("{path}?{}", query.join("&"))
    }

    fn link_field(self) -> Option<String> {
        // The shared list needs no link, so its addresses do not reveal one.
        let link = self.link.filter(|_| !self.list.is_shared());
        link.map(|link| format!("link={link}"))
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = (!self.list.is_shared()).then(|| format!("list={}", self.list));
        let show = (self.show != Show::All).then(|| format!("show={}", name(self.show)));
        let after = self.after.map(|after| format!("after={after}"));
        let fields: Vec<String> = [list, show, after, self.link_field()]
            .into_iter()
            .flatten()
            .collect();
        if fields.is_empty() {
            return Ok(());
        }
        write!(f, "?{}", fields.join("&"))
    }
}

/// The name of a filter in addresses.
pub(super) fn name(show: Show) -> &'static str {
    match show {
        Show::All => "all",
        Show::Active => "active",
        Show::Completed => "completed",
    }
}

/// The filter with this name.
pub(super) fn parse_show(name: &str) -> Option<Show> {
    let all = [Show::All, Show::Active, Show::Completed];
    all.into_iter().find(|show| self::name(*show) == name)
}

impl Said {
    /// Sorts the parameters of a query. Returns `None` if one is repeated, or if one is
    /// unknown and the query `is_strict`. Queries of programs are strict, so that no
    /// misspelling goes unnoticed. Addresses of pages are not, because other sites and
    /// programs append parameters to them.
    fn of(parameters: Vec<(String, String)>, is_strict: bool) -> Option<Self> {
        let mut said = Self::default();
        for (name, value) in parameters {
            let field = match &*name {
                "list" => &mut said.list,
                "show" => &mut said.show,
                "after" => &mut said.after,
                "at_least" => &mut said.at_least,
                "limit" => &mut said.limit,
                "link" => &mut said.link,
                // Datastar sends the page's signals with every GET.
                "datastar" => continue,
                _ if is_strict => return None,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return None;
            }
        }
        Some(said)
    }

    fn read(self) -> Result<Asked, Problem> {
        let refuse = |detail: String| Problem::invalid("invalid-value", detail);
        let position = |name: &str, text: Option<String>| {
            text.map(|text| {
                parse_position(&text)
                    .ok_or_else(|| refuse(format!("'{name}' must be a position, such as 42")))
            })
            .transpose()
        };
        let list = match self.list {
            None => ListId::SHARED,
            Some(list) => list.parse().map_err(|error| refuse(format!("{error}")))?,
        };
        let show = match self.show.as_deref() {
            None => Show::All,
            Some(show) => parse_show(show).ok_or_else(|| {
                refuse("'show' must be 'all', 'active' or 'completed'".to_owned())
            })?,
        };
        let limit = self
            .limit
            .map(|limit| {
                let limit = limit
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit));
                limit.ok_or_else(|| refuse(format!("'limit' must be a number from 1 to {MOST}")))
            })
            .transpose()?;
        let at_least = self.at_least.map(|text| {
            text.parse::<LogPlace>()
                .map_err(|error| refuse(format!("in 'at_least': {error}")))
        });
        // A text that cannot be a link gives no right, like every other wrong link.
        let link = self.link.and_then(|link| link.parse().ok());
        Ok(Asked {
            location: Location {
                list,
                show,
                after: position("after", self.after)?,
                link,
                mode: Mode::Edit,
                home: Home::Shared,
            },
            at_least: at_least.transpose()?,
            limit,
        })
    }
}

/// The largest number of todos in any answer.
const MOST: usize = 1_000;

impl FromRequestParts<Arc<Todos>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, todos: &Arc<Todos>) -> Result<Self, Problem> {
        let refused = || {
            Problem::invalid(
                "invalid-value",
                "the query has the parameters 'list', 'show', 'after', 'limit', 'at_least' and 'link', once each",
            )
        };
        let is_strict = parts.uri.path().starts_with("/api/");
        let parameters: Result<Query<Vec<(String, String)>>, QueryRejection> =
            Query::from_request_parts(parts, todos).await;
        let Query(parameters) = parameters.map_err(|_| refused())?;
        let said = Said::of(parameters, is_strict).ok_or_else(refused)?;
        let mut asked = said.read()?;
        asked.location.home = todos.home;
        Ok(asked)
    }
}
