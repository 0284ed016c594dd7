//! What a view says to everyone at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use ironstar_ports::{LogPlace, Position};

use super::log::Gap;
use super::{Drawing, lock};
use crate::stream::sse::{self, EventId};

/// From how many gaps drawings are shared. Who comes from yet another one gets
/// the whole view, which is shared by all.
const GAPS: usize = 64;

/// The newest state of a view, as a step from the one that was published before.
///
/// Everyone who has seen that one takes the same bytes, and touches nothing
/// else. Who has not, because it was slower or has just come, finds a drawing of
/// all that it has missed, made by the first who needs it.
#[derive(Debug)]
pub(super) struct Publication {
    /// Whoever is here takes `step`.
    pub(super) gap: Gap,
    /// Where that leads.
    pub(super) to: LogPlace,
    pub(super) step: Step,
    /// Only who has seen the same edition may take it.
    pub(super) edition: u64,
    /// The steps from other gaps. They go with the publication.
    steps: Mutex<HashMap<Gap, Arc<OnceLock<Step>>>>,
}

/// What somebody has to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// These frames.
    Frames(Bytes),
    /// The whole view.
    Whole,
}

impl Publication {
    pub(super) fn new(gap: Gap, to: LogPlace, step: Step, edition: u64) -> Self {
        Self {
            gap,
            to,
            step,
            edition,
            steps: Mutex::default(),
        }
    }

    /// The first one, which nobody has to be told of.
    pub(super) fn start(place: LogPlace) -> Self {
        let gap = Gap {
            first: place.position,
            last: place.position,
        };
        Self::new(gap, place, Step::Nothing, 0)
    }

    /// What whoever is at a boundary needs, if that is known without a look at
    /// what it has missed. `None`: it has seen nothing at all.
    pub(super) fn step_from(&self, seen: Option<Position>) -> Option<Step> {
        match seen {
            None => Some(Step::Whole),
            Some(seen) if self.gap.has(seen) => Some(self.step.clone()),
            Some(seen) if seen >= self.to.position => Some(Step::Nothing),
            Some(_) => None,
        }
    }

    /// The step from another gap, drawn by the first who asks for it. Nobody
    /// else waits for that but those who need the same.
    pub(super) fn step_over(&self, gap: Gap, draw: impl FnOnce() -> Step) -> Step {
        let step = {
            let mut steps = lock(&self.steps);
            if steps.len() >= GAPS && !steps.contains_key(&gap) {
                return Step::Whole;
            }
            Arc::clone(steps.entry(gap).or_default())
        };
        step.get_or_init(draw).clone()
    }
}

impl Step {
    /// The step that a drawing is. Its last frame carries the place that it
    /// leads to. Whoever has seen only those before it is nowhere: it has to
    /// begin anew.
    pub(super) fn of(drawing: &Drawing, to: EventId) -> Self {
        match drawing {
            Drawing::Nothing => Self::Nothing,
            Drawing::Whole => Self::Whole,
            Drawing::Patches(patches) => {
                let Some((last, others)) = patches.split_last() else {
                    return Self::Nothing;
                };
                let others = others.iter().cloned().map(sse::unfinished_frame);
                let mut frames: String = others.collect();
                frames += &sse::datastar_frame(last.clone(), Some(to));
                Self::Frames(frames.into())
            }
        }
    }
}
