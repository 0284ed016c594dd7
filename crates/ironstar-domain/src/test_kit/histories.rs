//! Histories that are possible for an aggregate.

use crate::Aggregate;

/// Returns the events of a new aggregate that gets these commands in order. Refused commands are
/// left out.
///
/// Arbitrary commands thus give an arbitrary valid history.
#[must_use]
pub fn history<A: Aggregate>(commands: impl IntoIterator<Item = A::Command>) -> Vec<A::Event> {
    let mut state = A::default();
    let mut happened = Vec::new();
    for command in commands {
        for event in state.handle(&command).into_iter().flatten() {
            state = state.apply(&event);
            happened.push(event);
        }
    }
    happened
}

#[cfg(test)]
mod tests {
    use super::history;
    use crate::test_kit::toy::{Door, DoorCommand, DoorEvent};

    #[test]
    fn refused_commands_leave_no_events() {
        let commands = [
            DoorCommand::Shut,
            DoorCommand::open("Ada"),
            DoorCommand::open("Ben"),
            DoorCommand::Slam,
        ];
        let happened = [DoorEvent::opened("Ada"), DoorEvent::Shut, DoorEvent::Rang];
        assert_eq!(history::<Door>(commands), happened);
    }
}
