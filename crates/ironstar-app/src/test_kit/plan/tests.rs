use std::panic::catch_unwind;

use ironstar_domain::{Aggregate, StepState};
use ironstar_fixtures::remark::{RemarkEvent, RemarkState};
use ironstar_ports::Envelope;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::process::{ProcessManager, Reaction, State};
use crate::projection::FoldError;
use crate::test_kit::{Happened, Plan, given, happened, stored};

/// Asks for a number after every event, waits after a new text, and cancels the timer when the
/// remark is closed.
#[derive(Debug)]
struct Counting;

impl ProcessManager for Counting {
    const NAME: &'static str = "counting";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[RemarkState::TYPE];

    type State = u64;
    type Command = String;

    fn react(
        event: &Envelope,
        state: &mut State<'_, u64, String>,
    ) -> Result<Reaction<String>, FoldError> {
        let count = state.get("count")?.copied().unwrap_or_default() + 1;
        state.put("count", count)?;
        let reaction = Reaction::nothing().and(format!("say {count}"));
        Ok(match &*event.event_type {
            "rewritten" => reaction.and_later("text", event.created_at, format!("late {count}")),
            "closed" => reaction.and_never("text"),
            "reopened" => return Err(FoldError::Senseless("not this".to_owned())),
            _ => reaction,
        })
    }
}

fn remark(event: RemarkEvent) -> Happened {
    happened::<RemarkState>(Uuid::from_u128(7), event)
}

fn rewritten() -> Happened {
    let text = "Food".to_owned();
    remark(RemarkEvent::Rewritten { text })
}

fn late(number: u64) -> (OffsetDateTime, String) {
    (OffsetDateTime::UNIX_EPOCH, format!("late {number}"))
}

fn one() -> Plan<Counting> {
    given([rewritten()]).process::<Counting>()
}

fn failure_of(check: fn()) -> String {
    let panic = catch_unwind(check).expect_err("the check must fail");
    *panic.downcast::<String>().expect("a panic with a text")
}

#[test]
fn steps_exist_until_they_are_over() {
    let plan = one()
        .then_asks(["say 1".to_owned()])
        .then_waits([late(1)])
        .and([rewritten()])
        .then_asks(["say 1".to_owned(), "say 2".to_owned()])
        .then_waits([late(2)])
        .and_carried_out()
        .then_asks([])
        .then_waits([late(2)])
        .and_due()
        .then_nothing();
    assert_eq!(plan.state("count"), Some(&2));
    assert_eq!(plan.state("other"), None);
}

#[test]
fn step_id_names_the_event_and_the_number() {
    let plan = one();
    let step = plan.steps().into_iter().map(|(id, _)| id.to_string());
    assert!(step.eq(["counting/1.0"]));
    let timer = plan.timers().into_iter().map(|(id, ..)| id.to_string());
    assert!(timer.eq(["counting/1.1"]));
}

#[test]
fn cancelled_timer_does_not_wait() {
    one()
        .and_carried_out()
        .and([remark(RemarkEvent::Closed)])
        .and_carried_out()
        .then_nothing();
}

#[test]
fn timer_that_was_set_again_outlives_the_step_before() {
    let id = one().timers().remove(0).0;
    let over = happened::<StepState>(id, ironstar_domain::StepEvent::CarriedOut);
    one()
        .and([rewritten(), over])
        .then_waits([late(2)])
        .and([remark(RemarkEvent::Closed)])
        .then_waits([]);
}

#[test]
fn process_manager_ignores_steps_of_others() {
    let other = "other/1.0".parse().expect("an id");
    let over = happened::<StepState>(other, ironstar_domain::StepEvent::CarriedOut);
    one().and([over]).then_asks(["say 1".to_owned()]);
}

#[test]
fn refused_step_is_over_too() {
    let id = one().steps().remove(0).0;
    let reason = "no".to_owned();
    let refused = happened::<StepState>(id, ironstar_domain::StepEvent::Refused { reason });
    one().and([refused]).then_asks([]);
}

#[test]
fn failure_shows_other_commands_line_by_line() {
    let told = failure_of(|| {
        one().then_asks(["say 2".to_owned()]);
    });
    for part in [
        "the process manager asks for something else\ngiven:\n    \
         1: Remark 00000000-0000-0000-0000-000000000007 rewritten v1",
        "-     \"say 2\",\n    +     \"say 1\",",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let told = failure_of(|| {
        one().then_waits([]);
    });
    assert!(told.contains("waits for something else"), "{told}");
    assert!(told.contains("+         \"late 1\""), "{told}");
}

#[test]
fn failure_shows_the_event_without_a_reaction() {
    let stuck = || one().and([remark(RemarkEvent::Reopened)]);
    assert_eq!(stuck().then_stuck(2), "not this");
    let told = failure_of(|| {
        one()
            .and([remark(RemarkEvent::Reopened)])
            .then_asks(["say 1".to_owned()]);
    });
    assert!(told.contains("stuck at position 2: not this"), "{told}");
    let told = failure_of(|| {
        one()
            .and([remark(RemarkEvent::Reopened)])
            .then_waits([late(1)]);
    });
    assert!(told.contains("stuck at position 2: not this"), "{told}");
}

#[test]
fn unreadable_step_stops_the_process_manager() {
    let id = "counting/1.0".parse().expect("an id");
    one()
        .and([stored::<StepState>(id, "painted", 1, "{}")])
        .then_stuck(2);
}
