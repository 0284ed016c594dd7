//! The notes of each owner, which are handed over when a guest signs in.

use ironstar_app::access::AudienceRule;
use ironstar_app::projection::{Documents, FoldError, Registered};
use ironstar_app::{ByOwner, Feature, Projection, decode, hand_over_by};
use ironstar_domain::{Aggregate, OwnedEvent, Ownership, Principal};
use ironstar_ports::{Envelope, Place};
use serde::{Deserialize, Serialize};

use crate::note::{NoteEvent, NoteState};

/// Notes, as they register with the application.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<NoteProjection>()],
    audiences: &[AudienceRule::owned::<NoteState>()],
    hand_over: Some(hand_over_by::<NoteProjection>),
};

/// Lists the notes by owner.
#[derive(Debug)]
pub struct NoteProjection;

/// A note, as pages show it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NoteItem {
    /// The text of the note.
    pub text: String,
    /// The owner and the links.
    pub ownership: Ownership,
}

impl Projection for NoteProjection {
    const NAME: &'static str = "notes";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[NoteState::TYPE];

    type Document = NoteItem;

    fn fold(event: &Envelope, notes: &mut Documents<NoteItem>) -> Result<(), FoldError> {
        let (id, happened) = decode::<NoteState>(event)?;
        let key = id.to_string();
        let note = match (notes.get(&key)?.cloned(), happened) {
            (None, OwnedEvent::Own(NoteEvent::Created { text, owner })) => NoteItem {
                text,
                ownership: Ownership::of(owner),
            },
            (Some(note), OwnedEvent::Own(NoteEvent::Rewritten { text })) => {
                NoteItem { text, ..note }
            }
            (Some(NoteItem { text, ownership }), OwnedEvent::Ownership(event)) => NoteItem {
                text,
                ownership: ownership.apply(&event),
            },
            (_, OwnedEvent::Own(_) | OwnedEvent::Ownership(_)) => return Ok(()),
        };
        notes.put(key, note)
    }

    fn place(note: &NoteItem) -> Option<Place> {
        note.ownership.owner.map(|owner| Place {
            collection: owner.to_string(),
            sort: note.text.clone(),
        })
    }
}

impl ByOwner for NoteProjection {
    type Aggregate = NoteState;

    fn collections(owner: Principal) -> Vec<String> {
        vec![owner.to_string()]
    }
}
