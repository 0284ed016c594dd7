//! The progress of a browser in a view, and its next step.

use ironstar_ports::Position;

use super::log::{Gap, Missed};
use super::publication::{Publication, Step};

/// The progress of a browser in a view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The browser has seen nothing yet.
    Nothing,
    /// The browser shows the view as of this boundary.
    At {
        boundary: Position,
        /// The edition that the browser has seen.
        edition: u64,
    },
}

/// The way in which a watcher gets its next step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// The watcher takes this step.
    Take(Step),
    /// All changes after this gap have to be drawn as one step.
    Draw(Gap),
}

impl Progress {
    /// Determines the step to a publication. `missed` asks the log for the changes after a
    /// boundary, and takes its lock. A browser that is up to date needs no answer from the log.
    ///
    /// | progress | changes after the boundary | step |
    /// | --- | --- | --- |
    /// | nothing | not asked | the whole view |
    /// | an earlier edition | not asked | the whole view |
    /// | a boundary in the publication's gap | not asked | the step of the publication |
    /// | the end of the publication, or beyond | not asked | nothing |
    /// | any other boundary | more than the log holds | the whole view |
    /// | any other boundary | published changes after a gap | one drawing of these changes |
    /// | any other boundary | only changes that are not published yet | nothing |
    /// | any other boundary | none | nothing |
    pub(super) fn step_to(
        self,
        publication: &Publication,
        missed: impl FnOnce(Position) -> Missed,
    ) -> Next {
        let to = publication.to.position;
        let step = match self {
            Self::Nothing => Step::Whole,
            Self::At { edition, .. } if edition < publication.edition => Step::Whole,
            Self::At { boundary, .. } if publication.gap.has(boundary) => publication.step.clone(),
            Self::At { boundary, .. } if boundary >= to => Step::Nothing,
            Self::At { boundary, .. } => match missed(boundary) {
                Missed::TooMuch => Step::Whole,
                Missed::After(gap) if gap.last < to => return Next::Draw(gap),
                Missed::After(_) | Missed::Nothing => Step::Nothing,
            },
        };
        Next::Take(step)
    }

    /// The progress after a step to a boundary. A browser never goes back.
    pub(super) fn after(self, to: Position) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::At { boundary, edition } => Self::At {
                boundary: boundary.max(to),
                edition,
            },
        }
    }
}

#[cfg(test)]
mod tests;
