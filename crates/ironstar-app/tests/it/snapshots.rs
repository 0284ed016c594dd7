use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::memory::{MemoryEventStore, MemorySnapshotStore};
use ironstar_app::{CommandContext, CommandError, CommandHandler};
use ironstar_domain::Aggregate;
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId, TodoState};
use ironstar_ports::{Mark, Payload, Position, Sequence, Snapshot, SnapshotStore, StreamId};
use uuid::Uuid;

use crate::support::{BrokenSnapshots, TestStore, handler_with, memory_store};

const ID: TodoId = TodoId::new(Uuid::from_u128(7));

/// More events than the interval between two snapshots.
const LENGTH: u64 = 700;

fn stream() -> StreamId {
    StreamId::new(TodoState::TYPE, ID.to_string())
}

fn rename(number: u64) -> TodoCommand {
    let text = format!("Take {number}").parse().expect("valid");
    TodoCommand::Rename { text }
}

async fn execute(commands: &CommandHandler, command: TodoCommand) -> Option<Sequence> {
    commands
        .execute::<TodoState>(&ID, &command, &CommandContext::default())
        .await
        .expect("accepted")
        .sequence
}

/// A todo with a long history, without its first handler.
async fn long_stream(snapshots: &Arc<MemorySnapshotStore>) -> Arc<MemoryEventStore> {
    let store = memory_store();
    let commands = handler_with(store.clone(), snapshots.clone());
    let text = "Take 0".parse().expect("valid");
    execute(
        &commands,
        TodoCommand::Create {
            text,
            list: ListId::SHARED,
        },
    )
    .await;
    for number in 1..LENGTH {
        execute(&commands, rename(number)).await;
    }
    store
}

/// The snapshot of the stream, once it has this sequence.
async fn saved(snapshots: &dyn SnapshotStore, sequence: u64) -> Snapshot {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let snapshot = snapshots.load_snapshot(&stream()).await.expect("loaded");
        match snapshot {
            Some(snapshot) if snapshot.sequence == Sequence::new(sequence) => return snapshot,
            other => assert!(tokio::time::Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn long_stream_is_read_from_its_snapshot() {
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let store = long_stream(&snapshots).await;
    let snapshot = saved(&*snapshots, 639).await;
    assert_eq!(snapshot.position, Position::new(640));
    assert_eq!(
        snapshot.state.as_str(),
        r#"{"state":"active","text":"Take 639","list":"shared"}"#
    );

    let store = Arc::new(TestStore::counting(store));
    let commands = handler_with(store.clone(), snapshots.clone());
    let unchanged = execute(&commands, rename(LENGTH - 1)).await;
    assert_eq!(unchanged, Some(Sequence::new(LENGTH - 1)));
    assert_eq!(
        store.streamed(),
        1 + (LENGTH - 640),
        "the event of the snapshot, and those after it"
    );
}

/// Expects that a handler uses the snapshot, and so believes that the todo is deleted.
async fn expect_to_mislead(
    store: &Arc<MemoryEventStore>,
    snapshots: &Arc<MemorySnapshotStore>,
    snapshot: Snapshot,
) {
    let state: Result<TodoState, _> = serde_json::from_str(snapshot.state.as_str());
    assert!(state.is_ok(), "the snapshot has a state: {state:?}");
    snapshots.save_snapshot(snapshot).await.expect("saved");
    let commands = handler_with(store.clone(), snapshots.clone());
    // The handler reads no events before the snapshot, and the events after it do not restore
    // the todo.
    let context = CommandContext::default();
    let rename = rename(LENGTH - 1);
    let refused = commands.execute::<TodoState>(&ID, &rename, &context);
    let refused = refused.await.expect_err("the todo counts as deleted");
    assert!(
        matches!(refused, CommandError::Refused(TodoError::NotFound)),
        "{refused}"
    );
}

#[tokio::test]
async fn invalid_snapshot_is_not_used() {
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let store = long_stream(&snapshots).await;
    let fitting = saved(&*snapshots, 639).await;
    // Each of these snapshots says that the todo is deleted, so its use would refuse the
    // command.
    let deleted = TodoState::Deleted {
        list: ListId::SHARED,
    };
    let misleading = Snapshot {
        state: Payload::of(&deleted).expect("JSON"),
        ..fitting.clone()
    };
    // A snapshot in which only the state is wrong does mislead.
    expect_to_mislead(&store, &snapshots, misleading.clone()).await;
    let not_a_state = Payload::from_text(r#"{"state":"gone"}"#.to_owned()).expect("JSON");
    let unfit = [
        Snapshot {
            fingerprint: "0".repeat(16),
            ..misleading.clone()
        },
        Snapshot {
            position: fitting.position.next(),
            ..misleading.clone()
        },
        Snapshot {
            sequence: Sequence::new(LENGTH),
            position: Position::new(LENGTH + 1),
            ..misleading
        },
        Snapshot {
            state: not_a_state,
            ..fitting
        },
    ];
    for unfit in unfit {
        snapshots.save_snapshot(unfit.clone()).await.expect("saved");
        let counting = Arc::new(TestStore::counting(store.clone()));
        let commands = handler_with(counting.clone(), snapshots.clone());
        let unchanged = execute(&commands, rename(LENGTH - 1)).await;
        assert_eq!(unchanged, Some(Sequence::new(LENGTH - 1)), "{unfit:?}");
        assert!(counting.streamed() >= LENGTH, "{unfit:?}");
        // The events that were read again make a new snapshot.
        saved(&*snapshots, LENGTH - 1).await;
    }
}

#[tokio::test]
async fn commands_run_without_snapshots() {
    let store = long_stream(&Arc::new(MemorySnapshotStore::new())).await;
    let commands = handler_with(store, Arc::new(BrokenSnapshots));
    let unchanged = execute(&commands, rename(LENGTH - 1)).await;
    assert_eq!(unchanged, Some(Sequence::new(LENGTH - 1)));
}

#[tokio::test]
async fn snapshot_of_another_history_is_not_used() {
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let store = long_stream(&snapshots).await;
    let fitting = saved(&*snapshots, 639).await;
    assert!(fitting.mark.is_some());
    // The mark is missing, or belongs to another event.
    for mark in [None, Some(Mark::of(Uuid::from_u128(1)))] {
        let unfit = Snapshot {
            mark,
            ..fitting.clone()
        };
        snapshots.save_snapshot(unfit).await.expect("saved");
        let counting = Arc::new(TestStore::counting(store.clone()));
        let commands = handler_with(counting.clone(), snapshots.clone());
        execute(&commands, rename(LENGTH - 1)).await;
        assert!(counting.streamed() >= LENGTH, "{mark:?}");
        saved(&*snapshots, LENGTH - 1).await;
    }
}
