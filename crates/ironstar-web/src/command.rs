//! Commands from programs: JSON in, where the stream is now out. The same for
//! every aggregate.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use ironstar_app::{Accepted, CommandContext};
use ironstar_ports::{CommandRecord, Origin, Position, Sequence};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::origin::{RequestOrigin, parse_key};
use crate::problem::Problem;

/// A command on an aggregate, as it is sent: the aggregate's own command, with
/// what comes with it beside it.
#[derive(Debug, Deserialize)]
pub(crate) struct CommandRequest<Id, C> {
    /// Which aggregate. Not needed to create one.
    #[serde(default = "none")]
    pub(crate) id: Option<Id>,
    /// The sequence that the sender expects the aggregate to be at.
    expected_sequence: Option<Sequence>,
    /// The same as the header `Idempotency-Key`.
    command_id: Option<String>,
    /// What is asked of it.
    #[serde(flatten)]
    pub(crate) command: C,
}

impl<Id: Serialize, C: Serialize> CommandRequest<Id, C> {
    /// What comes with the command, from the body and from the headers.
    pub(crate) fn context(
        &self,
        aggregate_type: &str,
        origin: RequestOrigin,
    ) -> Result<CommandContext, Problem> {
        let key = match (&self.command_id, origin.key) {
            (Some(body), header) => {
                let body = parse_key(body)?;
                if header.is_some_and(|header| header != body) {
                    return Err(Problem::invalid(
                        "invalid-value",
                        "'command_id' and the header 'Idempotency-Key' are not the same",
                    ));
                }
                Some(body)
            }
            (None, header) => header,
        };
        let asked = (
            aggregate_type,
            &self.id,
            self.expected_sequence,
            &self.command,
        );
        let request =
            serde_json::to_string(&asked).map_err(|error| Problem::unavailable(&error))?;
        let causation_id = key.as_ref().map(|key| key.as_str().to_owned());
        Ok(CommandContext {
            expected: self.expected_sequence,
            origin: Origin {
                causation_id,
                ..origin.origin
            },
            record: key.map(|key| CommandRecord { key, request }),
        })
    }
}

/// The answer to a command that was carried out.
#[derive(Debug, Serialize)]
pub(crate) struct CommandResponse {
    status: &'static str,
    id: String,
    sequence: Option<Sequence>,
    position: Position,
}

impl CommandResponse {
    pub(crate) fn ok(accepted: Accepted) -> Json<Self> {
        Json(Self {
            status: "ok",
            id: accepted.aggregate_id,
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
