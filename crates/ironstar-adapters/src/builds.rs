//! Builds as rows, and the rules for their updates. Both are the same for every technology.

use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, Failure, LogPlaceError, Position, Skipped, StoreError,
    UpdateError,
};

use crate::log::place;

/// Errors of reading or writing a build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Mark(#[from] LogPlaceError),
    #[error("the version {0} of a build is invalid")]
    Version(i64),
    #[error("the state {0:?} of a build is unknown")]
    State(String),
}

impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::unavailable(error)
    }
}

impl From<BuildError> for UpdateError {
    fn from(error: BuildError) -> Self {
        Self::Store(error.into())
    }
}

/// The columns of a build, in order.
pub(crate) type BuildRow = (
    i64,
    String,
    i64,
    String,
    i64,
    Option<String>,
    Option<String>,
    String,
);

/// Returns the build after an update, or `None` if the update ends the build. `live` is the
/// checkpoint of the live build of the same projection, if there is a live build.
pub(crate) fn updated(
    mut build: Build,
    update: BuildUpdate,
    live: Option<Position>,
) -> Result<Option<Build>, UpdateError> {
    match update {
        BuildUpdate::Promote => {
            require(build.state == BuildState::Building)?;
            if let Some(live) = live
                && build.checkpoint.position < live
            {
                return Err(UpdateError::Behind { live });
            }
            build.state = BuildState::Live;
        }
        BuildUpdate::Cancel => {
            require(build.state == BuildState::Building)?;
            build.state = BuildState::Cancelled;
        }
        BuildUpdate::Fail(failure) => {
            if !is_past(&build, failure.position) {
                build.failure = Some(failure);
            }
        }
        BuildUpdate::Retry => build.failure = None,
        BuildUpdate::Skip(position) => skip(&mut build, position)?,
        BuildUpdate::Discard(checkpoint) => {
            require(build.checkpoint == checkpoint)?;
            return Ok(None);
        }
    }
    Ok(Some(build))
}

/// Returns true if the build is past an event, or will skip the event.
fn is_past(build: &Build, position: Position) -> bool {
    let mut skipped = build.skipped.iter().map(|skipped| skipped.position);
    position <= build.checkpoint.position || skipped.any(|skipped| skipped == position)
}

fn require(is_in_state: bool) -> Result<(), UpdateError> {
    is_in_state.then_some(()).ok_or(UpdateError::WrongState)
}

fn skip(build: &mut Build, position: Position) -> Result<(), UpdateError> {
    let failure = build
        .failure
        .take_if(|failure| failure.position == position)
        .ok_or(UpdateError::WrongState)?;
    build.skipped.retain(|skipped| skipped.position != position);
    build.skipped.push(Skipped {
        position,
        event_type: failure.event_type,
        reason: failure.reason,
    });
    build.skipped.sort_by_key(|skipped| skipped.position);
    Ok(())
}

/// Converts a row.
pub(crate) fn build(row: BuildRow) -> Result<Build, BuildError> {
    let (id, name, version, state, checkpoint, mark, failure, skipped) = row;
    let failure: Option<Failure> = failure
        .map(|failure| serde_json::from_str(&failure))
        .transpose()?;
    let skipped: Vec<Skipped> = serde_json::from_str(&skipped)?;
    Ok(Build {
        id: BuildId::new(id.unsigned_abs()),
        name,
        version: u32::try_from(version).map_err(|_| BuildError::Version(version))?,
        state: parse_state(state)?,
        checkpoint: place(checkpoint, mark.as_deref())?,
        failure,
        skipped,
    })
}

/// The text of a state.
pub(crate) fn state_text(state: BuildState) -> &'static str {
    match state {
        BuildState::Building => "building",
        BuildState::Cancelled => "cancelled",
        BuildState::Live => "live",
    }
}

fn parse_state(text: String) -> Result<BuildState, BuildError> {
    match &*text {
        "building" => Ok(BuildState::Building),
        "cancelled" => Ok(BuildState::Cancelled),
        "live" => Ok(BuildState::Live),
        _ => Err(BuildError::State(text)),
    }
}
