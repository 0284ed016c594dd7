//! Logs of remarks and steps, as tests write them.

use std::collections::HashMap;

use ironstar_fixtures::note::OPEN;
use ironstar_ports::{Envelope, Metadata, Payload, Position, Sequence, StreamId};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) const REMARK: Uuid = Uuid::from_u128(7);
pub(crate) const OTHER: Uuid = Uuid::from_u128(8);

/// An event of a client or of a step.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    stream: (&'static str, String),
    event: Value,
    step: Option<String>,
}

pub(crate) fn created(id: Uuid) -> Written {
    let event = json!({"type": "created", "note": OPEN, "text": "Milk"});
    remark(id, event, None)
}

pub(crate) fn rewritten(id: Uuid) -> Written {
    let event = json!({"type": "rewritten", "text": "Oat milk"});
    remark(id, event, None)
}

pub(crate) fn reopened(id: Uuid) -> Written {
    remark(id, json!({"type": "reopened"}), None)
}

pub(crate) fn closed(id: Uuid, step: Option<&str>) -> Written {
    remark(id, json!({"type": "closed"}), step)
}

fn remark(id: Uuid, event: Value, step: Option<&str>) -> Written {
    Written {
        stream: ("Remark", id.to_string()),
        event,
        step: step.map(str::to_owned),
    }
}

pub(crate) fn carried_out(step: &str) -> Written {
    record(step, json!({"type": "carried_out"}))
}

pub(crate) fn refused(step: &str) -> Written {
    record(step, json!({"type": "refused", "reason": "no"}))
}

fn record(step: &str, event: Value) -> Written {
    Written {
        stream: ("Step", step.to_owned()),
        event,
        step: Some(step.to_owned()),
    }
}

/// The events in a log. The first one is at position 1, and is caused by the command `key-1`.
pub(crate) fn envelopes(log: &[Written]) -> Vec<Envelope> {
    let mut lengths: HashMap<&(&str, String), u64> = HashMap::new();
    let mut envelopes = Vec::new();
    for (written, position) in log.iter().zip(1_u64..) {
        let length = lengths.entry(&written.stream).or_default();
        let mut metadata = Metadata::new(REMARK);
        metadata.origin.step.clone_from(&written.step);
        metadata.origin.correlation_id = Some(format!("key-{position}"));
        let (of, id) = &written.stream;
        envelopes.push(Envelope {
            position: Position::new(position),
            stream: StreamId::new(*of, id),
            sequence: Sequence::new(*length),
            event_type: written.event["type"].as_str().expect("a type").to_owned(),
            schema_version: 1,
            payload: Payload::of(&written.event).expect("JSON"),
            metadata,
            created_at: OffsetDateTime::UNIX_EPOCH,
        });
        *length += 1;
    }
    envelopes
}
