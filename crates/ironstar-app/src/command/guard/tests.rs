//! A remark is guarded by its note.

mod world;

use std::fmt;

use futures::FutureExt;
use futures::future::join_all;
use ironstar_domain::{LinkAccess, OwnershipCommand, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_fixtures::remark::{RemarkCommand, RemarkError};
use ironstar_ports::{ExpectedSequence, Position, Sequence, StreamAppend, StreamId};
use uuid::Uuid;

use crate::caller::{Caller, Links};
use crate::command::{CommandContext, CommandError, KeyedRequest};

use world::{NOTE, REMARK, World};

fn guest(number: u128) -> Principal {
    Principal::Guest(Uuid::from_u128(number).into())
}

fn rewrite(text: &str) -> NoteCommand {
    let text = text.to_owned();
    NoteCommand::Rewrite { text }
}

/// A text that differs from the one before.
fn another_text(moment: u64) -> String {
    format!("Food {moment}")
}

/// A command with a key.
fn keyed() -> CommandContext {
    CommandContext {
        keyed: Some(KeyedRequest::new(
            "key".parse().expect("a key"),
            "create".to_owned(),
        )),
        ..CommandContext::default()
    }
}

fn refusal<T: fmt::Debug>(outcome: Result<T, CommandError<RemarkError>>) -> RemarkError {
    let error = outcome.expect_err("refused");
    let CommandError::Refused(refusal) = error else {
        panic!("{error:?}");
    };
    refusal
}

#[tokio::test(start_paused = true)]
async fn remark_is_created_only_if_its_guard_agrees() {
    let World { node, .. } = World::new();
    let context = CommandContext::default();
    let refused = refusal(node.create(&context).await);
    assert_eq!(refused, RemarkError::NoSuchNote);
    let (text, owner) = (String::new(), None);
    node.note(NoteCommand::Create { text, owner }).await;
    assert_eq!(refusal(node.create(&context).await), RemarkError::NoteEmpty);
    node.note(rewrite("Groceries")).await;
    let created = node.create(&context).await;
    assert_eq!(created.expect("created"), Position::new(3));
}

#[tokio::test(start_paused = true)]
async fn note_that_is_emptied_at_the_last_moment_takes_no_remark() {
    let world = World::with_a_note(None).await;
    let node = world.outrun(1, |_| String::new());
    let refused = refusal(node.create(&CommandContext::default()).await);
    assert_eq!(refused, RemarkError::NoteEmpty);
    assert_eq!(
        world.head().await,
        Position::new(2),
        "no remark was created"
    );
}

#[tokio::test(start_paused = true)]
async fn note_that_is_rewritten_at_the_last_moment_takes_the_remark() {
    let context = CommandContext::default();
    let world = World::with_a_note(None).await;
    let created = world.outrun(3, another_text).create(&context).await;
    assert_eq!(created.expect("created"), Position::new(5));
    let other = World::with_a_note(None).await;
    let outcome = other.outrun(u64::MAX, another_text).create(&context).await;
    let error = outcome.expect_err("the note changes all the time");
    assert!(matches!(error, CommandError::Contended { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn note_that_is_rewritten_at_the_last_moment_has_all_its_remarks_closed() {
    let context = CommandContext::default();
    let world = World::with_a_note(None).await;
    world.node.create(&context).await.expect("created");
    let node = world.outrun(3, another_text);
    let closed = node.close_the_remark(&context).await;
    assert_eq!(closed.expect("closed").changed, 1);
    assert_eq!(world.head().await, Position::new(6));
}

#[tokio::test(start_paused = true)]
async fn change_of_another_stream_is_reported_at_once() {
    let World { node, .. } = World::with_a_note(None).await;
    let context = CommandContext {
        also: vec![StreamAppend {
            stream: StreamId::new("Test", "1"),
            expected: ExpectedSequence::Exact(Sequence::FIRST),
            events: vec![],
        }],
        ..CommandContext::default()
    };
    let is_told = |error: &CommandError<RemarkError>| matches!(error, CommandError::OtherChanged { stream } if stream.aggregate_type == "Test");
    let outcome = node.create(&context).await;
    let error = outcome.expect_err("the other stream has changed");
    assert!(is_told(&error), "{error}");
    let created = node.create(&CommandContext::default()).await;
    created.expect("created");
    let outcome = node.close_the_remark(&context).await;
    let error = outcome.expect_err("the other stream has changed");
    assert!(is_told(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn repeated_creation_gets_the_first_answer() {
    let World { node, .. } = World::with_a_note(None).await;
    let context = keyed();
    let first = node.create(&context).await.expect("created");
    let again = node.create(&context).await.expect("as before");
    // The answer is the same after the note was emptied.
    node.note(rewrite("")).await;
    let later = node.create(&context).await.expect("as before");
    assert_eq!((again, later), (first, first));
}

#[tokio::test(start_paused = true)]
async fn repeated_command_on_all_gets_the_first_answer_without_another_lookup() {
    let World { node, .. } = World::with_a_note(None).await;
    let created = node.create(&CommandContext::default()).await;
    created.expect("created");
    let first = node.close_the_remark(&keyed()).await.expect("closed");
    assert_eq!(first.changed, 1);
    let lookup = async || Err(CommandError::KeyReused);
    let again = node.close(lookup(), &keyed()).await;
    assert_eq!(again.expect("as before"), first);
    let other = node.close(lookup(), &CommandContext::default()).await;
    assert!(matches!(other, Err(CommandError::KeyReused)), "{other:?}");
}

#[tokio::test(start_paused = true)]
async fn caller_without_the_right_gets_no_answer_to_a_repeated_command() {
    let World { node, .. } = World::with_a_note(None).await;
    let context = keyed();
    node.create(&context).await.expect("created");
    let whole = CommandContext {
        caller: Caller::anonymous().from_place("here".to_owned()),
        ..keyed()
    };
    node.close_the_remark(&whole).await.expect("closed");
    let to = guest(2);
    node.note(OwnershipCommand::HandOver { from: None, to })
        .await;
    let refused = refusal(node.create(&context).await);
    assert_eq!(refused, RemarkError::NoSuchNote);
    let refused = refusal(node.close_the_remark(&whole).await);
    assert_eq!(refused, RemarkError::NoSuchNote);
}

#[tokio::test(start_paused = true)]
async fn caller_whose_link_is_revoked_between_two_attempts_gets_no_earlier_answer() {
    let world = World::with_a_note(Some(guest(2))).await;
    let link = Uuid::from_u128(2).into();
    let access = LinkAccess::Edit;
    let create_link = OwnershipCommand::CreateLink { link, access };
    world.node.note(create_link).await;
    let links = Links::new([7; 32]);
    let presented = links.presented(links.token_of::<NoteState>(&NOTE, link));
    let context = CommandContext {
        caller: Caller::of(vec![guest(1)]).by_link(Some(presented)),
        ..keyed()
    };
    let (node, earlier) = (world.node.clone(), context.clone());
    let interrupted = world.interrupted(move |moment| {
        let (node, earlier) = (node.clone(), earlier.clone());
        async move {
            match moment {
                // The first attempt loses a race.
                0 => node.note(rewrite("Food")).await,
                1 => {
                    node.create(&earlier).await.expect("created");
                    node.note(OwnershipCommand::RevokeLink { link }).await;
                }
                _ => panic!("there is no second attempt"),
            }
        }
        .boxed()
    });
    let again = interrupted.create(&context).await;
    assert_eq!(refusal(again), RemarkError::NoSuchNote);
    assert_eq!(world.head().await, Position::new(5));
}

#[tokio::test(start_paused = true)]
async fn note_takes_many_commands_of_its_own_and_on_its_remarks_at_once() {
    let world = World::with_a_note(None).await;
    let context = CommandContext::default();
    world.node.create(&context).await.expect("created");
    // All callers decide before the first append.
    let node = world.interrupted(|_| {
        async {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        }
        .boxed()
    });
    let on_the_note = (0..60).map(|number| {
        let node = &node;
        async move { node.note(rewrite(&format!("Groceries {number}"))).await }
    });
    let on_the_remark = (0..60).map(|number| {
        let (node, context) = (&node, &context);
        let text = format!("Milk {number}");
        async move {
            let rewrite = RemarkCommand::Rewrite { text };
            node.remark(REMARK, rewrite, context).await
        }
    });
    let (_, remarks) = futures::join!(join_all(on_the_note), join_all(on_the_remark));
    for rewritten in remarks {
        rewritten.expect("the remark is rewritten");
    }
    assert_eq!(world.head().await, Position::new(122));
}
