//! The hints of an append, and the parent that its events name.

use std::sync::Arc;

use ironstar_adapters::memory::MemorySnapshotStore;
use ironstar_adapters::system::SystemIdSource;
use ironstar_app::access::parent_of;
use ironstar_app::{CommandContext, CommandHandler};
use ironstar_domain::Aggregate;
use ironstar_fixtures::note::{NoteCommand, NoteError, NoteState};
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use ironstar_ports::{EventStore, Key, Position, StreamAppend, StreamId};
use uuid::Uuid;

use crate::support::{RememberingBus, memory_store};

const NOTE: Uuid = Uuid::from_u128(1);
const REMARK: Uuid = Uuid::from_u128(7);

/// A handler, and the bus that it publishes hints to.
fn handler(store: Arc<dyn EventStore>) -> (CommandHandler, Arc<RememberingBus>) {
    let bus = Arc::new(RememberingBus::new());
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let ids = Arc::new(SystemIdSource);
    let commands = CommandHandler::new(store, snapshots, bus.clone(), ids);
    (commands, bus)
}

fn create() -> RemarkCommand {
    RemarkCommand::Create {
        note: NOTE,
        text: "Buy milk".to_owned(),
    }
}

#[tokio::test]
async fn events_of_a_remark_name_their_note_and_have_hints_on_both_keys() {
    let store = memory_store();
    let (commands, bus) = handler(store.clone());
    let context = CommandContext::default();
    let text = "Tea".to_owned();
    let parent = StreamId::new(NoteState::TYPE, NOTE.to_string());
    let stream = StreamId::new(RemarkState::TYPE, REMARK.to_string());
    let both = [Key::of_stream(&stream), Key::of_part(&parent, &stream)];
    for command in [
        create(),
        RemarkCommand::Rewrite { text },
        RemarkCommand::Close,
        RemarkCommand::Reopen,
        RemarkCommand::Delete,
    ] {
        let accepted = commands
            .execute::<RemarkState>(&REMARK, &command, &context)
            .await;
        let position = accepted.expect("accepted").place.position;
        let before = Position::new(position.get() - 1);
        let events = store.load_after(before, 9).await.expect("read");
        assert_eq!(events.len(), 1);
        assert_eq!(
            events[0].metadata.parent,
            Some(parent.clone()),
            "{events:?}"
        );
        assert_eq!(parent_of::<RemarkState>(&events[0]), Some(parent.clone()));
        let mut expected = both.each_ref().map(Key::as_str);
        expected.sort_unstable();
        assert_eq!(bus.take(), expected);
    }
}

#[tokio::test]
async fn note_has_a_hint_for_its_own_events_only() {
    let (commands, bus) = handler(memory_store());
    let (text, owner) = ("Groceries".to_owned(), None);
    let note = NoteCommand::Create { text, owner };
    let context = CommandContext::default();
    let created = commands.execute::<NoteState>(&NOTE, &note, &context).await;
    created.expect("created");
    let guard = StreamId::new(NoteState::TYPE, NOTE.to_string());
    let guard = Key::of_stream(&guard);
    assert_eq!(bus.take(), [guard.as_str()]);
    let seen = commands.see::<NoteState, NoteError>(&NOTE).await;
    let context = CommandContext {
        also: vec![StreamAppend::guard(&seen.expect("read").head)],
        ..CommandContext::default()
    };
    let created = commands
        .execute::<RemarkState>(&REMARK, &create(), &context)
        .await;
    created.expect("created");
    assert!(
        !bus.take().contains(&guard.as_str().to_owned()),
        "the note is only a guard"
    );
}
