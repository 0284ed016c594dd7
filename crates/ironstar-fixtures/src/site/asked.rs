//! The note that a request asks for, the link that opens it, and the fields of a form.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use ironstar_app::caller::LinkToken;
use ironstar_ports::LogPlace;
use ironstar_web::edge::problem::Problem;
use ironstar_web::page::kit::{Button, Field, field};
use ironstar_web::session::origin::RequestOrigin;
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::remarks::Remarks;
use crate::note;

/// The note that a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The note in the path or in the query, and otherwise the open note.
    pub(super) note: Uuid,
    /// The answer includes all events up to this place; `None`: all that are stored now.
    pub(super) at_least: Option<LogPlace>,
    /// The link by which the visitor came.
    link: Option<LinkToken>,
    /// The caller, with that link.
    pub(super) origin: RequestOrigin,
}

impl Asked {
    /// An address about the note, with the visitor's link.
    pub(super) fn at(&self, begin: &str) -> String {
        let link = self.link.map(|link| format!("?link={link}"));
        format!("{begin}/{}{}", self.note, link.unwrap_or_default())
    }
}

/// The fields of a form with one text.
#[derive(Debug, Deserialize)]
pub(super) struct TextForm {
    #[serde(default)]
    pub(super) text: String,
    /// The idempotency key: submitting the form twice runs one command.
    #[serde(default)]
    pub(super) key: String,
}

impl TextForm {
    /// Draws the form, which is sent to the address of its page.
    pub(super) fn draw(label: &str, key: &str) -> Markup {
        let text = Field {
            name: "text",
            label,
            value: "",
            placeholder: "",
            problem: None,
        };
        html! {
            form.plain method="post" {
                input type="hidden" name="key" value=(key) autocomplete="off";
                (field(&text))
                (Button::Primary.draw("Add"))
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct InQuery {
    note: Option<Uuid>,
    link: Option<String>,
    at_least: Option<String>,
}

impl FromRequestParts<Arc<Remarks>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        remarks: &Arc<Remarks>,
    ) -> Result<Self, Problem> {
        let in_path: Option<Path<Uuid>> = Option::from_request_parts(parts, remarks)
            .await
            .map_err(|_| Problem::no_such_page())?;
        let query: Result<Query<InQuery>, QueryRejection> =
            Query::from_request_parts(parts, remarks).await;
        let invalid = |error: &dyn ToString| Problem::invalid("invalid-value", error.to_string());
        let Query(query) = query.map_err(|error| invalid(&error))?;
        let at_least = query.at_least.map(|place| place.parse()).transpose();
        // A text that cannot be a link gives no right, like every other wrong link.
        let link = query.link.and_then(|link| link.parse().ok());
        let origin = RequestOrigin::from_request_parts(parts, remarks).await?;
        Ok(Self {
            note: in_path
                .map(|Path(note)| note)
                .or(query.note)
                .unwrap_or(note::OPEN),
            at_least: at_least.map_err(|error| invalid(&error))?,
            link,
            origin: origin.by_link(remarks.links(), link),
        })
    }
}
