//! The remarks on each note: the read model of a note's page, and the commands.

mod service;

use ironstar_app::access::AudienceRule;
use ironstar_app::projection::{Documents, FoldError, ReadError, Registered};
use ironstar_app::{Feature, Projection, ReadModel, decode};
use ironstar_domain::{Aggregate, OwnedEvent};
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place, Position};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::note::{NoteEvent, NoteState};
use crate::remark::{RemarkEvent, RemarkState};

pub use service::RemarkService;

/// Remarks, as they register with the application.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<RemarkProjection>()],
    audiences: &[AudienceRule::part_of::<NoteState, RemarkState>()],
    hand_over: None,
};

/// The most lines of a note that are read. Further ones are left out.
const MOST: usize = 10_000;

/// Lists the lines of each note: its text, and then its remarks. A remark may have the id of a
/// note, since callers choose ids. So the key of a line names the aggregate's type, too.
#[derive(Debug)]
pub struct RemarkProjection;

/// A line on the page of a note: a remark, or the text of the note itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    /// The id of the remark, or of the note.
    pub id: Uuid,
    /// The note that has the line.
    pub note: Uuid,
    /// True if the line is a remark.
    pub is_remark: bool,
    /// The text.
    pub text: String,
    /// True if it is a closed remark.
    pub is_closed: bool,
    /// The position of the event that created it.
    pub created: Position,
    /// The number of its events.
    pub changes: u64,
}

/// The collections of a note's lines: of open and of closed ones.
#[must_use]
pub fn collections(note: Uuid) -> [String; 2] {
    [note.to_string(), format!("{note}/closed")]
}

impl Projection for RemarkProjection {
    const NAME: &'static str = "remarks";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[NoteState::TYPE, RemarkState::TYPE];

    type Document = Line;

    fn fold(event: &Envelope, lines: &mut Documents<Line>) -> Result<(), FoldError> {
        use RemarkEvent as Happened;

        let key = event.stream.to_string();
        let is_remark = event.stream.aggregate_type == RemarkState::TYPE;
        let line = lines.get(&key)?.cloned();
        let changes = line.as_ref().map_or(0, |line| line.changes) + 1;
        let new = |id, note, text| Line {
            id,
            note,
            is_remark,
            text,
            is_closed: false,
            created: event.position,
            changes,
        };
        let line = if !is_remark {
            let (id, happened) = decode::<NoteState>(event)?;
            match (line, happened) {
                (None, OwnedEvent::Own(NoteEvent::Created { text, .. })) => Some(new(id, id, text)),
                (Some(line), OwnedEvent::Own(NoteEvent::Rewritten { text })) => {
                    Some(Line { text, ..line })
                }
                (line, _) => line,
            }
        } else {
            let (id, happened) = decode::<RemarkState>(event)?;
            let is_closed = matches!(happened, Happened::Closed);
            match (line, happened) {
                (None, Happened::Created { note, text }) => Some(new(id, note, text)),
                (Some(line), Happened::Rewritten { text }) => Some(Line { text, ..line }),
                (Some(line), Happened::Closed | Happened::Reopened) => {
                    Some(Line { is_closed, ..line })
                }
                (_, Happened::Deleted) => None,
                (line, _) => line,
            }
        };
        match line {
            Some(line) => lines.put(key, Line { changes, ..line }),
            None => lines.remove(&key),
        }
    }

    fn place(line: &Line) -> Option<Place> {
        let [open, closed] = collections(line.note);
        Some(Place {
            collection: if line.is_closed { closed } else { open },
            sort: format!("{:020}", line.created.get()),
        })
    }
}

/// The lines of a note, and the place that they show.
///
/// # Errors
///
/// See [`ReadError`].
pub async fn lines(
    model: &ReadModel<RemarkProjection>,
    note: Uuid,
) -> Result<(LogPlace, Vec<Line>), ReadError> {
    let page = DocumentPage {
        collections: collections(note).into(),
        after: None,
        limit: MOST,
    };
    let found = model.find(Vec::new(), Some(page)).await?;
    let lines = found.page.into_iter().map(|(_, line)| line);
    Ok((found.place, lines.collect()))
}
