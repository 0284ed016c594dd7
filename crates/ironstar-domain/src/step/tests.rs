use proptest::prelude::*;

use super::{StepCommand, StepError, StepEvent, StepState};
use crate::test_kit::{check_golden_files, check_laws, given};
use crate::{DomainError, Refusal};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    (
        "carried_out",
        1,
        include_str!("../golden/Step/carried_out.v1.json"),
    ),
    ("refused", 1, include_str!("../golden/Step/refused.v1.json")),
];

fn refuse() -> StepCommand {
    StepCommand::Refuse {
        reason: "this list is archived".to_owned(),
    }
}

fn refused() -> StepEvent {
    StepEvent::Refused {
        reason: "this list is archived".to_owned(),
    }
}

#[test]
fn step_runs_once() {
    for (command, event) in [
        (StepCommand::CarryOut, StepEvent::CarriedOut),
        (refuse(), refused()),
    ] {
        given::<StepState>([])
            .when(command)
            .then([event])
            .and_state(StepState::Over)
            .and_when(StepCommand::CarryOut)
            .then_refused(StepError::Over)
            .and_when(refuse())
            .then_refused(StepError::Over);
    }
}

#[test]
fn refusal_has_a_kind_and_a_code() {
    let error = StepError::Over;
    assert_eq!(error.refusal(), Refusal::conflict("step-over"));
}

#[test]
fn events_keep_the_shape_of_their_golden_files() {
    check_golden_files(GOLDEN_FILES, [StepEvent::CarriedOut, refused()]);
}

proptest! {
    #[test]
    fn a_step_keeps_the_laws(
        commands in prop::collection::vec(prop_oneof![Just(StepCommand::CarryOut), Just(refuse())], 0..4),
    ) {
        check_laws::<StepState>(commands);
    }
}
