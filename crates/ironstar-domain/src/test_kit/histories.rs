//! Histories that can have happened.

use crate::Aggregate;

/// What happens when these commands are put to a new aggregate, one after
/// another. Those that it refuses are left out.
///
/// Of arbitrary commands it makes an arbitrary valid history.
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
    fn refused_commands_are_left_out() {
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
