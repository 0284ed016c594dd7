//! Rules for updates of builds, which are the same for every technology.

use ironstar_ports::{Build, BuildState, BuildUpdate, Position, Skipped, UpdateError};

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
