use std::sync::Arc;

use futures::future::join_all;
use ironstar_app::{CommandContext, CommandError, CommandHandler, KeyedRequest};
use ironstar_domain::{Aggregate, DomainEvent};
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent, RemarkState};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position, Sequence, StreamId,
};
use uuid::Uuid;

use crate::support::{Meddle, TestStore, handler, memory_store};

const ID: Uuid = Uuid::from_u128(7);

fn create() -> RemarkCommand {
    RemarkCommand::Create {
        note: Uuid::from_u128(1),
        text: "Buy milk".to_owned(),
    }
}

fn rewrite(to: &str) -> RemarkCommand {
    RemarkCommand::Rewrite {
        text: to.to_owned(),
    }
}

fn by_another_caller(stream: &StreamId, event: &RemarkEvent) -> Append {
    let event = NewEvent {
        event_type: event.event_type().to_owned(),
        schema_version: 1,
        payload: Payload::of(event).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    Append::to_stream(stream.clone(), ExpectedSequence::Any, vec![event])
}

fn expecting(sequence: u64) -> CommandContext {
    CommandContext {
        expected: Some(Sequence::new(sequence)),
        ..CommandContext::default()
    }
}

/// A handler on a created remark. Another caller appends first, this many times.
async fn meddled(times: u64, meddle: Meddle) -> CommandHandler {
    let inner = memory_store();
    handler(inner.clone())
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    handler(Arc::new(TestStore::meddled(inner, times, meddle)))
}

#[tokio::test]
async fn command_appends_events_and_returns_their_place() {
    let store = memory_store();
    let commands = handler(store.clone());
    let first = commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    let second = commands
        .execute::<RemarkState>(&ID, &RemarkCommand::Close, &expecting(0))
        .await
        .expect("closed");
    assert_eq!(
        (first.sequence, first.place.position),
        (Some(Sequence::new(0)), Position::new(1))
    );
    assert_eq!(
        (second.sequence, second.place.position),
        (Some(Sequence::new(1)), Position::new(2))
    );
    let log = store.load_after(Position::START, 10).await.expect("read");
    let types: Vec<&str> = log.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["created", "closed"]);
    assert_ne!(log[0].metadata.event_id, log[1].metadata.event_id);
    assert_eq!(
        log[0].stream,
        StreamId::new(RemarkState::TYPE, ID.to_string())
    );
}

#[tokio::test]
async fn command_without_a_change_appends_nothing() {
    let store = memory_store();
    let commands = handler(store.clone());
    let created = commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    let rewritten = commands
        .execute::<RemarkState>(&ID, &rewrite("Buy milk"), &CommandContext::default())
        .await
        .expect("accepted");
    assert_eq!(rewritten, created);
    assert_eq!(store.head().await.expect("read"), Position::new(1));
}

#[tokio::test]
async fn command_is_decided_again_after_a_lost_race() {
    let commands = meddled(3, |stream| {
        let text = "Another text".to_owned();
        by_another_caller(stream, &RemarkEvent::Rewritten { text })
    })
    .await;
    let accepted = commands
        .execute::<RemarkState>(&ID, &RemarkCommand::Close, &CommandContext::default())
        .await
        .expect("closed");
    assert_eq!(accepted.sequence, Some(Sequence::new(4)));
}

#[tokio::test]
async fn command_may_be_refused_after_a_lost_race() {
    let commands = meddled(1, |stream| by_another_caller(stream, &RemarkEvent::Deleted)).await;
    let error = commands
        .execute::<RemarkState>(&ID, &RemarkCommand::Close, &CommandContext::default())
        .await
        .expect_err("deleted in between");
    assert!(
        matches!(error, CommandError::Refused(RemarkError::NotFound)),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn command_gives_up_when_it_loses_every_race() {
    let commands = meddled(u64::MAX, |stream| {
        let text = "Another text".to_owned();
        by_another_caller(stream, &RemarkEvent::Rewritten { text })
    })
    .await;
    let error = commands
        .execute::<RemarkState>(&ID, &RemarkCommand::Close, &CommandContext::default())
        .await
        .expect_err("always late");
    assert!(matches!(error, CommandError::Contended { .. }), "{error}");
}

#[tokio::test]
async fn command_with_a_sequence_is_never_decided_again() {
    let commands = meddled(1, |stream| by_another_caller(stream, &RemarkEvent::Closed)).await;
    let error = commands
        .execute::<RemarkState>(&ID, &rewrite("Tea"), &expecting(0))
        .await
        .expect_err("another caller was first");
    assert!(
        matches!(
            error,
            CommandError::Unexpected { expected: Sequence::FIRST, actual: Some(actual) }
                if actual == Sequence::new(1)
        ),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_sequence_is_refused_before_the_aggregate_decides() {
    let commands = meddled(0, |_| unreachable!("no other caller appends")).await;
    for wrong in [1, 2] {
        let error = commands
            .execute::<RemarkState>(&ID, &create(), &expecting(wrong))
            .await
            .expect_err("wrong");
        assert!(matches!(error, CommandError::Unexpected { .. }), "{error}");
    }
}

#[tokio::test]
async fn long_streams_are_read_to_their_end() {
    let store = memory_store();
    let commands = handler(store.clone());
    commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    for number in 0..1_030 {
        commands
            .execute::<RemarkState>(
                &ID,
                &rewrite(&format!("Take {number}")),
                &CommandContext::default(),
            )
            .await
            .expect("rewritten");
    }
    let unchanged = commands
        .execute::<RemarkState>(&ID, &rewrite("Take 1029"), &CommandContext::default())
        .await
        .expect("accepted");
    assert_eq!(unchanged.sequence, Some(Sequence::new(1_030)));
}

#[tokio::test]
async fn command_is_refused_when_the_history_is_unreadable() {
    let store = memory_store();
    let stream = StreamId::new(RemarkState::TYPE, ID.to_string());
    let mut append = by_another_caller(&stream, &RemarkEvent::Closed);
    append.streams[0].events[0].payload =
        Payload::from_text(r#"{"type":"painted"}"#.into()).expect("JSON");
    store.append(append).await.expect("appended");
    let error = handler(store)
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect_err("unreadable");
    assert!(matches!(error, CommandError::Unreadable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_many_callers_closes_a_remark() {
    let store = memory_store();
    let commands = handler(store.clone());
    commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    let outcomes = join_all((0..32).map(|_| {
        let commands = commands.clone();
        tokio::spawn(async move {
            commands
                .execute::<RemarkState>(&ID, &RemarkCommand::Close, &CommandContext::default())
                .await
        })
    }))
    .await;
    let mut closed = 0;
    for outcome in outcomes {
        match outcome.expect("no panic") {
            Ok(_) => closed += 1,
            Err(error) => assert!(
                matches!(error, CommandError::Refused(RemarkError::AlreadyClosed)),
                "{error}"
            ),
        }
    }
    assert_eq!(closed, 1);
    assert_eq!(store.head().await.expect("read"), Position::new(2));
}

#[tokio::test]
async fn state_in_memory_that_is_behind_the_log_is_not_trusted() {
    let store = memory_store();
    let (here, elsewhere) = (handler(store.clone()), handler(store.clone()));
    let context = CommandContext::default();
    here.execute::<RemarkState>(&ID, &create(), &context)
        .await
        .expect("created");
    elsewhere
        .execute::<RemarkState>(&ID, &RemarkCommand::Close, &context)
        .await
        .expect("closed");
    // This handler's state in memory says that the remark is not closed.
    here.execute::<RemarkState>(&ID, &RemarkCommand::Reopen, &context)
        .await
        .expect("reopened");
    elsewhere
        .execute::<RemarkState>(&ID, &rewrite("Tea"), &context)
        .await
        .expect("rewritten");
    let unchanged = elsewhere
        .execute::<RemarkState>(&ID, &rewrite("Tea"), &expecting(3))
        .await
        .expect("nothing to change");
    assert_eq!(unchanged.sequence, Some(Sequence::new(3)));
    let rewritten = here
        .execute::<RemarkState>(&ID, &rewrite("Buy milk"), &expecting(3))
        .await
        .expect("rewritten back, although the state in memory has that text already");
    assert_eq!(rewritten.sequence, Some(Sequence::new(4)));
}

#[tokio::test]
async fn commands_on_a_state_in_memory_do_not_read_the_stream() {
    let store = Arc::new(TestStore::counting(memory_store()));
    let commands = handler(store.clone());
    let context = CommandContext::default();
    commands
        .execute::<RemarkState>(&ID, &create(), &context)
        .await
        .expect("created");
    let read = store.streamed();
    for number in 0..10 {
        commands
            .execute::<RemarkState>(&ID, &rewrite(&format!("Take {number}")), &context)
            .await
            .expect("rewritten");
    }
    assert_eq!(store.streamed(), read);
}

#[tokio::test]
async fn states_stay_in_memory_up_to_the_limit() {
    const STATES: u128 = 16_384;
    let store = Arc::new(TestStore::counting(memory_store()));
    let commands = handler(store.clone());
    let context = CommandContext::default();
    for number in 0..=STATES {
        commands
            .execute::<RemarkState>(&Uuid::from_u128(number), &create(), &context)
            .await
            .expect("created");
    }
    let read = store.streamed();
    for (number, is_read) in [(STATES, false), (1, false), (0, true)] {
        commands
            .execute::<RemarkState>(&Uuid::from_u128(number), &rewrite("Tea"), &context)
            .await
            .expect("rewritten");
        assert_eq!(store.streamed() > read, is_read, "{number}");
    }
}

fn recorded(key: &str) -> CommandContext {
    CommandContext {
        keyed: Some(KeyedRequest::new(
            key.parse().expect("a key"),
            "close".to_owned(),
        )),
        ..CommandContext::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_that_is_sent_many_times_at_once_runs_once() {
    let store = memory_store();
    let commands = handler(store.clone());
    commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    let answers = join_all((0..32).map(|_| {
        let commands = commands.clone();
        tokio::spawn(async move {
            commands
                .execute::<RemarkState>(&ID, &RemarkCommand::Close, &recorded("key"))
                .await
        })
    }))
    .await;
    for answer in answers {
        let accepted = answer.expect("no panic").expect("the same answer for all");
        assert_eq!(accepted.place.position, Position::new(2));
    }
    assert_eq!(store.head().await.expect("read"), Position::new(2));
}

#[tokio::test]
async fn refused_command_is_decided_again_when_it_is_sent_again() {
    let commands = handler(memory_store());
    let close = async || {
        commands
            .execute::<RemarkState>(&ID, &RemarkCommand::Close, &recorded("key"))
            .await
    };
    close().await.expect_err("the remark does not exist yet");
    commands
        .execute::<RemarkState>(&ID, &create(), &CommandContext::default())
        .await
        .expect("created");
    close().await.expect("the remark exists now");
}
