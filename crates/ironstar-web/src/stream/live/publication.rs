//! The newest state of a view, for all watchers at once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ironstar_ports::LogPlace;
use parking_lot::Mutex;

use super::Drawing;
use super::log::Gap;
use crate::stream::sse::{self, EventId};

/// The maximum number of gaps from which drawings are shared. A watcher that comes from yet
/// another gap gets the whole view, which all watchers share.
const GAPS: usize = 64;

/// The newest state of a view, as a step from the publication before.
///
/// All watchers that have seen the publication before take the same bytes, and read nothing
/// else. A slower or new watcher gets a drawing of all that it has missed. The first watcher that
/// needs this drawing makes it.
#[derive(Debug)]
pub(super) struct Publication {
    /// The boundaries from which `step` leads on.
    pub(super) gap: Gap,
    /// The place to which `step` leads.
    pub(super) to: LogPlace,
    pub(super) step: Step,
    /// Only watchers that have seen the same edition may take `step`.
    pub(super) edition: u64,
    /// The steps from other gaps, which are dropped with the publication.
    steps: Mutex<HashMap<Gap, Arc<OnceLock<Step>>>>,
}

/// The content that a watcher has to send.
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

    /// The first publication, which contains no change.
    pub(super) fn start(place: LogPlace) -> Self {
        let gap = Gap {
            first: place.position,
            last: place.position,
        };
        Self::new(gap, place, Step::Nothing, 0)
    }

    /// The step from another gap. The first watcher that asks for it draws it, and only watchers
    /// that need the same step wait for it.
    pub(super) fn step_over(&self, gap: Gap, draw: impl FnOnce() -> Step) -> Step {
        let step = {
            let mut steps = self.steps.lock();
            if steps.len() >= GAPS && !steps.contains_key(&gap) {
                return Step::Whole;
            }
            Arc::clone(steps.entry(gap).or_default())
        };
        step.get_or_init(draw).clone()
    }
}

impl Step {
    /// Converts a drawing into a step. Only its last frame carries the place to which it leads.
    /// A browser that has seen only the frames before that has no valid place, and has to begin
    /// again.
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
