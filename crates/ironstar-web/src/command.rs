//! Commands from programs: JSON in, where the stream is now out. The same for
//! every aggregate.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use ironstar_app::Accepted;
use ironstar_ports::{Position, Sequence};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A command on an aggregate, as it is sent: the aggregate's own command, with
/// the id and the expected sequence beside it.
#[derive(Debug, Deserialize)]
pub(crate) struct CommandRequest<Id, C> {
    /// Which aggregate. Not needed to create one.
    #[serde(default = "none")]
    pub(crate) id: Option<Id>,
    /// The sequence that the sender expects the aggregate to be at.
    pub(crate) expected_sequence: Option<Sequence>,
    /// What is asked of it.
    #[serde(flatten)]
    pub(crate) command: C,
}

/// The answer to a command that was carried out.
#[derive(Debug, Serialize)]
pub(crate) struct CommandResponse<Id> {
    status: &'static str,
    id: Id,
    sequence: Option<Sequence>,
    position: Position,
}

impl<Id> CommandResponse<Id> {
    pub(crate) fn ok(id: Id, accepted: Accepted) -> Json<Self> {
        Json(Self {
            status: "ok",
            id,
            sequence: accepted.sequence,
            position: accepted.position,
        })
    }
}

/// A JSON body, or a [`Problem`].
#[derive(Debug)]
pub(crate) struct ProblemJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ProblemJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let parsed: Result<Json<T>, JsonRejection> = Json::from_request(request, state).await;
        let Json(body) = parsed?;
        Ok(Self(body))
    }
}

fn none<T>() -> Option<T> {
    None
}
