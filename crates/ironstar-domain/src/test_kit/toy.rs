//! A door, sound or with one fault, which shows that the test kit finds each fault.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::user::UserId;
use crate::{Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Refusal, UpcastError};

pub(super) const SOUND: u8 = 0;
/// A command is decided differently every second time.
pub(super) const FICKLE: u8 = 1;
/// A command to open the door is decided twice.
pub(super) const IDLE: u8 = 2;
/// An event has a different effect every second time.
pub(super) const MOODY: u8 = 3;
/// A replay leaves out the last event.
pub(super) const HASTY: u8 = 4;
/// The state's `rings` are not in its JSON form.
pub(super) const LOSSY_STATE: u8 = 5;
/// The event's `by` is not in its JSON form.
pub(super) const LOSSY_EVENT: u8 = 6;
/// An event's type is not its tag.
pub(super) const MISTAGGED: u8 = 7;
/// An event's type is not in the schemas.
pub(super) const UNLISTED: u8 = 8;
/// Events report version 1, although a newer one exists.
pub(super) const OUTDATED: u8 = 9;
/// A refusal's code is not in kebab case.
pub(super) const SHOUTING: u8 = 10;
/// The upcaster drops what it should rename.
pub(super) const FORGETFUL: u8 = 11;
/// A state without `rings` in its JSON form is read with some rings.
pub(super) const MISREAD_STATE: u8 = 12;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Door<const FAULT: u8 = SOUND> {
    pub(super) open: bool,
    #[serde(
        default = "rings_when_lost::<FAULT>",
        skip_serializing_if = "is_lost_from_state::<FAULT, _>"
    )]
    pub(super) rings: u32,
}

#[derive(Clone, Debug)]
pub(super) enum DoorCommand {
    Open { by: String },
    Shut,
    Slam,
}

/// Version 1 of `opened` had `who` in place of `by`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum DoorEvent<const FAULT: u8 = SOUND> {
    Opened {
        #[serde(default, skip_serializing_if = "is_lost_from_event::<FAULT, _>")]
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Shut,
    Rang,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the door is {0} already")]
pub(super) struct AlreadyIs<const FAULT: u8 = SOUND>(pub(super) &'static str);

impl DoorCommand {
    pub(super) fn open(by: &str) -> Self {
        Self::Open { by: by.to_owned() }
    }
}

impl<const FAULT: u8> DoorEvent<FAULT> {
    pub(super) fn opened(by: &str) -> Self {
        Self::Opened {
            by: by.to_owned(),
            note: None,
        }
    }
}

impl<const FAULT: u8> Aggregate for Door<FAULT> {
    const TYPE: &'static str = "Door";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("toy.rs")]);

    type Id = UserId;
    type Command = DoorCommand;
    type Event = DoorEvent<FAULT>;
    type Error = AlreadyIs<FAULT>;

    fn handle(&self, command: &DoorCommand) -> Result<Vec<DoorEvent<FAULT>>, AlreadyIs<FAULT>> {
        match (self.open, command) {
            (false, DoorCommand::Open { by }) => {
                let times = if FAULT == IDLE { 2 } else { 1 };
                Ok(vec![DoorEvent::opened(by); times])
            }
            (true, DoorCommand::Open { .. }) => Err(AlreadyIs("open")),
            (false, DoorCommand::Shut | DoorCommand::Slam) => Err(AlreadyIs("shut")),
            (true, DoorCommand::Slam) if FAULT == FICKLE && every_second_time() => Ok(vec![]),
            (true, DoorCommand::Shut) => Ok(vec![DoorEvent::Shut]),
            (true, DoorCommand::Slam) => Ok(vec![DoorEvent::Shut, DoorEvent::Rang]),
        }
    }

    fn apply(self, event: &DoorEvent<FAULT>) -> Self {
        match event {
            DoorEvent::Opened { .. } => Self { open: true, ..self },
            DoorEvent::Shut => Self {
                open: false,
                ..self
            },
            DoorEvent::Rang => {
                let more = if FAULT == MOODY && every_second_time() {
                    2
                } else {
                    1
                };
                Self {
                    rings: self.rings + more,
                    ..self
                }
            }
        }
    }

    fn fold<'a>(events: impl IntoIterator<Item = &'a DoorEvent<FAULT>>) -> Self {
        let events: Vec<_> = events.into_iter().collect();
        let left_out = usize::from(FAULT == HASTY).min(events.len());
        let kept = events[..events.len() - left_out].iter().copied();
        kept.fold(Self::default(), Self::apply)
    }
}

impl<const FAULT: u8> DomainEvent for DoorEvent<FAULT> {
    const SCHEMAS: &'static [EventSchema] = if FAULT == UNLISTED {
        &[EventSchema::new("opened"), EventSchema::new("shut")]
    } else {
        &[
            EventSchema::lifted("opened", &[who_becomes_by::<FAULT>]),
            EventSchema::new("shut"),
            EventSchema::new("rang"),
        ]
    };

    fn event_type(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Rang if FAULT == MISTAGGED => "shut",
            Self::Shut => "shut",
            Self::Rang => "rang",
        }
    }

    fn schema_version(&self) -> u32 {
        let schema = crate::schema::schema_of::<Self>(self.event_type());
        schema
            .filter(|_| FAULT != OUTDATED)
            .map_or(1, EventSchema::version)
    }
}

impl<const FAULT: u8> DomainError for AlreadyIs<FAULT> {
    fn refusal(&self) -> Refusal {
        Refusal::conflict(if FAULT == SHOUTING {
            "Door_Already_Is"
        } else {
            "door-already-is"
        })
    }
}

fn who_becomes_by<const FAULT: u8>(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    let who = fields.remove("who");
    let who = who.ok_or_else(|| UpcastError("'who' is missing".to_owned()))?;
    if FAULT != FORGETFUL {
        fields.insert("by".to_owned(), who);
    }
    Ok(())
}

fn is_lost_from_state<const FAULT: u8, T>(_: &T) -> bool {
    matches!(FAULT, LOSSY_STATE | MISREAD_STATE)
}

fn rings_when_lost<const FAULT: u8>() -> u32 {
    if FAULT == MISREAD_STATE { 7 } else { 0 }
}

fn is_lost_from_event<const FAULT: u8, T>(_: &T) -> bool {
    FAULT == LOSSY_EVENT
}

fn every_second_time() -> bool {
    thread_local! {
        static SECOND: Cell<bool> = const { Cell::new(true) };
    }
    SECOND.replace(!SECOND.get())
}
