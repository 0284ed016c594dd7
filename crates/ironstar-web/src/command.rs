//! Commands from programs, for any aggregate: a request carries JSON, and the answer tells the
//! stream's new end.

pub mod owned;

use std::fmt::{self, Display};
use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use bytes::Buf;
use ironstar_app::{Accepted, CommandContext, KeyedRequest};
use ironstar_ports::{CommandKey, LogPlace, Position, Sequence};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::edge::problem::Problem;
use crate::session::origin::{RequestOrigin, parse_key};

/// A byte order mark in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A command on an aggregate, as a program sends it: the aggregate's own command, and the
/// fields beside it.
#[derive(Debug)]
pub struct CommandRequest<Id, C> {
    /// The aggregate's id. A command that creates an aggregate may leave it out.
    pub id: Option<Id>,
    /// The sequence of the aggregate's last event, as the sender expects it.
    expected_sequence: Option<Sequence>,
    /// The same as the header `Idempotency-Key`.
    command_id: Option<CommandKey>,
    /// The aggregate's own command.
    pub command: C,
}

impl<Id, C> CommandRequest<Id, C>
where
    Id: FromStr<Err: Display>,
    C: DeserializeOwned + Serialize,
{
    /// Parses a command. It refuses unknown fields, because a misspelt guard must not go
    /// unnoticed.
    fn parse(mut fields: Map<String, Value>) -> Result<Self, Problem> {
        let id = take(&mut fields, "id")?
            .map(|id: String| id.parse().map_err(|error: Id::Err| in_field("id", &error)))
            .transpose()?;
        let expected_sequence = take(&mut fields, "expected_sequence")?;
        let command_id = take(&mut fields, "command_id")?
            .map(|key: String| parse_key(&key))
            .transpose()?;
        // Serde would take an integer for the number of a variant.
        if fields.get("type").is_some_and(|kind| !kind.is_string()) {
            return Err(in_field("type", &"it must be a string"));
        }
        let names: Vec<String> = fields.keys().cloned().collect();
        let command: C = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Problem::invalid("invalid-value", error))?;
        let known = serde_json::to_value(&command).map_err(|error| Problem::unavailable(&error))?;
        match names.iter().find(|name| known.get(name).is_none()) {
            Some(name) => Err(in_field(name, &"a command of this type has no such field")),
            None => Ok(Self {
                id,
                expected_sequence,
                command_id,
                command,
            }),
        }
    }
}

/// Removes a field from the object and parses it. The field may be missing.
fn take<T: DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let value = fields.remove(name).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| in_field(name, &error))
}

fn in_field(name: &str, error: &dyn Display) -> Problem {
    Problem::invalid("invalid-value", format!("in '{name}': {error}"))
}

impl<Id: Display, C: Serialize> CommandRequest<Id, C> {
    /// The id of the aggregate, in a command that needs one.
    pub fn required_id(&self) -> Result<&Id, Problem> {
        let missing = || Problem::invalid("invalid-value", "the field 'id' is missing");
        self.id.as_ref().ok_or_else(missing)
    }

    /// Refuses an expected sequence in a command that creates an aggregate. Otherwise a sender
    /// that guesses an id could learn about another owner's aggregate.
    pub fn refuse_expected_sequence(&self) -> Result<(), Problem> {
        match self.expected_sequence {
            None => Ok(()),
            Some(_) => Err(in_field(
                "expected_sequence",
                &"a command that creates something has no such field",
            )),
        }
    }

    /// The context of the command, from the body and the headers.
    pub fn context(
        &self,
        aggregate_type: &str,
        origin: &RequestOrigin,
    ) -> Result<CommandContext, Problem> {
        self.context_written(aggregate_type, aggregate_type, origin)
    }

    /// The context of a command whose aggregate type was stored differently (as `before`) when
    /// keys had no senders.
    pub(crate) fn context_written(
        &self,
        aggregate_type: &str,
        before: &str,
        origin: &RequestOrigin,
    ) -> Result<CommandContext, Problem> {
        let key = match (&self.command_id, origin.key.clone()) {
            (Some(body), header) => {
                if header.is_some_and(|header| header != *body) {
                    return Err(Problem::invalid(
                        "invalid-value",
                        "'command_id' and the header 'Idempotency-Key' are not the same",
                    ));
                }
                Some(body.clone())
            }
            (None, header) => header,
        };
        let asked = |aggregate_type: &str| {
            let id = self.id.as_ref().map(ToString::to_string);
            written(&(aggregate_type, id, self.expected_sequence, &self.command))
        };
        let asked = [asked(aggregate_type)?, asked(before)?];
        let context = keyed_written(asked, key, origin);
        Ok(CommandContext {
            expected: self.expected_sequence,
            ..context
        })
    }
}

/// The context of a command: its caller, its origin, and its key if it has one. If the same
/// sender uses the key again and `asked` differs, that command is refused.
pub fn keyed(
    asked: &impl Serialize,
    key: Option<CommandKey>,
    origin: &RequestOrigin,
) -> Result<CommandContext, Problem> {
    let asked = written(asked)?;
    Ok(keyed_written([asked.clone(), asked], key, origin))
}

/// The context of a command whose request is stored in two forms: the current one, and the one
/// from when keys had no senders.
pub(crate) fn keyed_written(
    [asked, before]: [String; 2],
    key: Option<CommandKey>,
    origin: &RequestOrigin,
) -> CommandContext {
    let mut context = origin.context();
    context.origin.causation_id = key.as_ref().map(|key| key.as_str().to_owned());
    context.keyed = key.map(|key| KeyedRequest::new(key, asked).written_before(before));
    context
}

/// The request, as it is stored beside a key.
pub(crate) fn written(asked: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(asked).map_err(|error| Problem::unavailable(&error))
}

/// The answer to an executed command.
#[derive(Debug, Serialize)]
pub struct CommandResponse {
    status: &'static str,
    id: String,
    sequence: Option<Sequence>,
    position: Position,
    /// The position with the mark of its history, for `at_least`.
    place: LogPlace,
}

impl CommandResponse {
    /// The answer for a command that was accepted.
    pub fn ok(accepted: Accepted) -> Json<Self> {
        Json(Self {
            status: "ok",
            id: accepted.aggregate_id,
            sequence: accepted.sequence,
            position: accepted.place.position,
            place: accepted.place,
        })
    }
}

impl<S, Id, C> FromRequest<S> for CommandRequest<Id, C>
where
    S: Send + Sync,
    Id: FromStr<Err: Display>,
    C: DeserializeOwned + Serialize,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let request = without_mark(request).await?;
        let parsed: Result<Json<Fields>, JsonRejection> = Json::from_request(request, state).await;
        let Json(Fields(fields)) = parsed?;
        Self::parse(fields)
    }
}

/// Removes the byte order mark that some programs write before JSON. A reader may ignore it
/// (RFC 8259, section 8.1).
async fn without_mark(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let body = Bytes::from_request(Request::new(body), &()).await;
    let mut body = body.map_err(|_| Problem::malformed())?;
    if body.starts_with(MARK) {
        body.advance(MARK.len());
    }
    Ok(Request::from_parts(parts, body.into()))
}

/// The fields of a JSON object. A field that occurs twice is an error.
#[derive(Debug)]
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("the field '{name}' occurs twice")));
            }
            fields.insert(name, value);
        }
        Ok(Fields(fields))
    }
}
