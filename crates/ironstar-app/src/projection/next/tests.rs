use ironstar_ports::{Failure, LogPlace, Position, StoreError};
use time::OffsetDateTime;

use super::*;

const VERSION: u32 = 2;

fn build(id: u64, state: BuildState) -> Build {
    Build {
        id: BuildId::new(id),
        name: "test".to_owned(),
        version: VERSION,
        state,
        checkpoint: LogPlace::START,
        failure: None,
        skipped: Vec::new(),
    }
}

fn live(id: u64) -> Build {
    build(id, BuildState::Live)
}

fn building(id: u64) -> Build {
    build(id, BuildState::Building)
}

fn cancelled(id: u64) -> Build {
    build(id, BuildState::Cancelled)
}

/// A build of another version.
fn other(build: Build) -> Build {
    Build {
        version: VERSION - 1,
        ..build
    }
}

/// A build with a failure after this many attempts.
fn failed(build: Build, attempts: u32) -> Build {
    let failure = Failure {
        position: Position::new(1),
        event_type: "happened".to_owned(),
        reason: "it is poison".to_owned(),
        attempts,
        failed_at: OffsetDateTime::UNIX_EPOCH,
    };
    Build {
        failure: Some(failure),
        ..build
    }
}

/// Tasks that follow one build and continue another; 0 for no task.
fn tasks(following: u64, building: u64) -> Tasks {
    let task = |id: u64| match id {
        0 => Task::Idle,
        id => Task::Running(BuildId::new(id)),
    };
    Tasks {
        following: task(following),
        building: task(building),
        has_had_one: true,
        is_holder: true,
    }
}

/// The next action, with the number of its build.
fn action(builds: &[Build], tasks: &Tasks, now: Instant) -> String {
    match next(builds, VERSION, tasks, now) {
        Action::Follow(build) => format!("follow {}", build.id),
        Action::Build(build) => format!("build {}", build.id),
        action @ (Action::Begin | Action::Leave | Action::Wait) => {
            format!("{action:?}").to_lowercase()
        }
    }
}

#[test]
fn builds_and_tasks_lead_to_the_next_action() {
    let at_start = || Tasks {
        is_holder: true,
        ..Tasks::default()
    };
    for (builds, tasks, expected) in [
        // The process has just started.
        (vec![], at_start(), "begin"),
        (vec![other(live(1))], at_start(), "begin"),
        (vec![other(building(1))], at_start(), "begin"),
        (vec![building(1)], at_start(), "build 1"),
        (vec![other(live(1)), building(2)], at_start(), "build 2"),
        (vec![live(1)], at_start(), "follow 1"),
        (vec![live(1), building(2)], at_start(), "follow 1"),
        // Both tasks run beside each other.
        (vec![live(1)], tasks(1, 0), "wait"),
        (vec![building(2)], tasks(0, 2), "wait"),
        (vec![live(1), building(2)], tasks(1, 0), "build 2"),
        (vec![live(1), building(2)], tasks(1, 2), "wait"),
        // The build becomes live.
        (vec![live(2)], tasks(1, 2), "leave"),
        (vec![live(2)], tasks(0, 2), "follow 2"),
        (vec![live(2), building(3)], tasks(1, 0), "build 3"),
        // An operator has cancelled the build.
        (vec![cancelled(1)], at_start(), "wait"),
        (vec![other(live(1)), cancelled(2)], at_start(), "wait"),
        (vec![live(1), cancelled(2)], tasks(1, 0), "wait"),
        // Another version has replaced the build, or is about to.
        (vec![live(1), other(building(2))], tasks(1, 0), "wait"),
        (vec![other(live(2))], tasks(1, 0), "leave"),
        (vec![other(live(2))], tasks(0, 0), "wait"),
        (vec![other(building(2))], tasks(0, 0), "wait"),
        // The build was discarded.
        (vec![], tasks(0, 0), "begin"),
        (vec![], tasks(1, 0), "begin"),
        (vec![building(2)], tasks(1, 2), "wait"),
    ] {
        let action = action(&builds, &tasks, Instant::now());
        assert_eq!(action, expected, "{builds:#?} {tasks:#?}");
    }
}

#[test]
fn task_begins_again_after_a_pause_or_a_decision() {
    let start = Instant::now();
    let stuck = || {
        Err(BuildError::Stuck {
            position: Position::new(1),
            event_type: "happened".to_owned(),
            reason: "it is poison".to_owned(),
        })
    };
    let unavailable = || Err(BuildError::Store(StoreError::unavailable("broken")));
    for (result, found, pause) in [
        (Ok(()), live(1), 0),
        (stuck(), failed(live(1), 1), 1),
        (stuck(), failed(live(1), 3), 4),
        (stuck(), failed(live(1), 99), 60),
        (stuck(), live(1), 0),
        (stuck(), failed(live(2), 3), 0),
        (unavailable(), live(1), 1),
        (unavailable(), failed(live(1), 3), 1),
        (unavailable(), live(2), 0),
        (Err(BuildError::Moved), live(1), 1),
    ] {
        let mut task = Task::Running(BuildId::new(1));
        task.end(&result, start);
        let begins_after = |pause| task.may_begin(&found, start + pause);
        let pause = Duration::from_secs(pause);
        assert!(begins_after(pause), "{task:?} {found:?}");
        if let Some(early) = pause.checked_sub(Duration::from_millis(1)) {
            assert!(!begins_after(early), "{task:?} {found:?}");
        }
    }
}

#[test]
fn failed_build_does_not_keep_the_live_one_from_being_followed() {
    let (now, mut tasks) = (Instant::now(), tasks(0, 2));
    let stopped = Err(BuildError::Moved);
    tasks.building.end(&stopped, now);
    let builds = [live(1), building(2)];
    assert_eq!(action(&builds, &tasks, now), "follow 1");
    tasks.following = Task::Running(BuildId::new(1));
    assert_eq!(action(&builds, &tasks, now), "wait");
    let later = now + RETRY.first;
    assert_eq!(action(&builds, &tasks, later), "build 2");
}

#[test]
fn node_without_the_lease_only_follows_the_live_build() {
    let now = Instant::now();
    let elsewhere = Tasks {
        has_had_one: false,
        is_holder: false,
        ..tasks(0, 0)
    };
    assert_eq!(action(&[], &elsewhere, now), "wait");
    assert_eq!(action(&[building(1)], &elsewhere, now), "wait");
    assert_eq!(action(&[live(1), building(2)], &elsewhere, now), "follow 1");
}
