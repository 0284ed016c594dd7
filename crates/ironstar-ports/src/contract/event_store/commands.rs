//! The rules of commands with a key.

use futures::future::join_all;

use super::Store;
use super::support::{NoStream, append, exact, head, log, some_events, stream};
use crate::contract::{Verdict, Violation, equal, failed};
use crate::{
    Append, AppendError, Appended, CommandKey, CommandRecord, EarlierCommand, ExpectedSequence,
    Mark, Outcome, Position, StreamHead,
};

/// A repeated command gets the stored answer and appends nothing, even if its expected sequences
/// do not match any more.
pub(super) async fn answers_again(store: Store) -> Verdict {
    let first = send(&store, "key", "request", 1, NoStream, 2).await?;
    append(&store, stream(1), exact(1), some_events(1)).await?;
    let before = log(&store).await?;
    let again = send(&store, "key", "request", 1, NoStream, 2).await?;
    equal("the second answer", again, first)?;
    equal("the log", log(&store).await?, before)
}

/// The stored answer to a command can be read by its key.
pub(super) async fn outcome_is_known(store: Store) -> Verdict {
    equal("unknown key", outcome(&store, "key").await?, None)?;
    let appended = send(&store, "key", "request", 1, NoStream, 2).await?;
    let expected = Outcome {
        request: "request".to_owned(),
        appended,
    };
    equal("known key", outcome(&store, "key").await?, Some(expected))?;
    equal("other key", outcome(&store, "other").await?, None)
}

/// A key that was used for one command is refused for another.
pub(super) async fn key_is_not_reused(store: Store) -> Verdict {
    send(&store, "key", "request", 1, NoStream, 1).await?;
    let other = with_key("key", "other request", 2, NoStream, 1);
    let answer = store.append(other).await;
    if !matches!(answer, Err(AppendError::KeyReused)) {
        return Err(Violation(format!(
            "the key must be refused, but: {answer:?}"
        )));
    }
    equal("head", head(&store).await?, Position::new(1))
}

/// A command without events is stored, too. Its answer has the end of its stream.
pub(super) async fn nothing_to_change(store: Store) -> Verdict {
    append(&store, stream(1), NoStream, some_events(2)).await?;
    append(&store, stream(2), NoStream, some_events(1)).await?;
    let answer = send(&store, "key", "request", 1, exact(1), 0).await?;
    let expected = Appended {
        streams: vec![StreamHead {
            stream: stream(1),
            sequence: Some(crate::Sequence::new(1)),
            position: Position::new(2),
            mark: some_events(1)
                .last()
                .map(|event| Mark::of(event.metadata.event_id)),
        }],
    };
    equal("the answer", &answer, &expected)?;
    append(&store, stream(1), exact(1), some_events(1)).await?;
    let again = send(&store, "key", "request", 1, exact(1), 0).await?;
    equal("the second answer", again, expected)
}

/// A refused command is not stored, so it may be sent again.
pub(super) async fn refusal_is_not_recorded(store: Store) -> Verdict {
    append(&store, stream(1), NoStream, some_events(2)).await?;
    let refused = with_key("key", "request", 1, exact(0), 1);
    let answer = store.append(refused).await;
    if !matches!(answer, Err(AppendError::Conflict { .. })) {
        return Err(Violation(format!(
            "the command must be refused, but: {answer:?}"
        )));
    }
    equal("the key", outcome(&store, "key").await?, None)?;
    send(&store, "key", "request", 1, exact(1), 1).await?;
    equal("head", head(&store).await?, Position::new(3))
}

/// A command that is sent several times concurrently runs once, and all senders get the same
/// answer.
pub(super) async fn one_of_many(store: Store) -> Verdict {
    let answers = join_all((0..16).map(|id| {
        let append = with_key("key", "request", id, ExpectedSequence::Any, 1);
        store.append(append)
    }))
    .await;
    let answers: Vec<Appended> = answers
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(failed("append"))?;
    let first = answers.first().cloned();
    for answer in answers {
        equal("an answer", Some(answer), first.clone())?;
    }
    equal("head", head(&store).await?, Position::new(1))
}

/// A command is known by its second key as well as by its first.
pub(super) async fn second_key(store: Store) -> Verdict {
    let mut append = with_key("key", "request", 1, NoStream, 1);
    append.command = append.command.map(|command| CommandRecord {
        second: Some(command_key("second")),
        ..command
    });
    let first = store.append(append).await.map_err(failed("append"))?;
    let again = send(&store, "second", "request", 2, NoStream, 1).await?;
    equal("the answer to the second key", again, first)?;
    equal("head", head(&store).await?, Position::new(1))
}

/// A command that was stored under one of its earlier keys gets the stored answer.
pub(super) async fn earlier_key(store: Store) -> Verdict {
    let first = send(&store, "earlier", "request", 1, NoStream, 1).await?;
    let append = with_earlier_key("key", "request", 2);
    let again = store.append(append).await.map_err(failed("append"))?;
    equal("the second answer", again, first)?;
    equal("head", head(&store).await?, Position::new(1))
}

/// An earlier key that belongs to another command does not prevent the append.
pub(super) async fn earlier_key_of_another_command(store: Store) -> Verdict {
    let other = send(&store, "earlier", "request", 1, NoStream, 1).await?;
    let append = with_earlier_key("key", "other request", 2);
    store.append(append).await.map_err(failed("append"))?;
    equal("head", head(&store).await?, Position::new(2))?;
    let again = send(&store, "earlier", "request", 1, NoStream, 1).await?;
    equal("the answer to the earlier key", again, other)
}

fn with_earlier_key(key: &str, request: &str, id: u64) -> Append {
    let mut append = with_key(key, request, id, NoStream, 1);
    let earlier = EarlierCommand {
        key: command_key("earlier"),
        request: request.to_owned(),
    };
    append.command = append.command.map(|command| CommandRecord {
        earlier: vec![earlier],
        ..command
    });
    append
}

fn with_key(key: &str, request: &str, id: u64, expected: ExpectedSequence, events: u64) -> Append {
    let mut append = Append::to_stream(stream(id), expected, some_events(events));
    let request = request.to_owned();
    append.command = Some(CommandRecord::new(command_key(key), request));
    append
}

async fn send(
    store: &Store,
    key: &str,
    request: &str,
    id: u64,
    expected: ExpectedSequence,
    events: u64,
) -> Result<Appended, Violation> {
    let append = with_key(key, request, id, expected, events);
    store.append(append).await.map_err(failed("append"))
}

async fn outcome(store: &Store, key: &str) -> Result<Option<Outcome>, Violation> {
    let key = command_key(key);
    store.outcome(&key).await.map_err(failed("outcome"))
}

fn command_key(key: &str) -> CommandKey {
    key.parse().expect("a key")
}
