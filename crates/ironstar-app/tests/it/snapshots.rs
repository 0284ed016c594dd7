use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::memory::{MemoryEventStore, MemorySnapshotStore};
use ironstar_app::{CommandContext, CommandError, CommandHandler};
use ironstar_domain::Aggregate;
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent, RemarkState};
use ironstar_ports::{Mark, Payload, Position, Sequence, Snapshot, SnapshotStore, StreamId};
use uuid::Uuid;

use crate::support::{BrokenSnapshots, TestStore, handler_with, memory_store};

const NOTE: Uuid = Uuid::from_u128(1);
const ID: Uuid = Uuid::from_u128(7);

/// More events than the interval between two snapshots.
const LENGTH: u64 = 700;

fn stream() -> StreamId {
    StreamId::new(RemarkState::TYPE, ID.to_string())
}

fn rewrite(number: u64) -> RemarkCommand {
    let text = format!("Take {number}");
    RemarkCommand::Rewrite { text }
}

async fn execute(commands: &CommandHandler, command: RemarkCommand) -> Option<Sequence> {
    commands
        .execute::<RemarkState>(&ID, &command, &CommandContext::default())
        .await
        .expect("accepted")
        .sequence
}

/// A remark with a long history, without its first handler.
async fn long_stream(snapshots: &Arc<MemorySnapshotStore>) -> Arc<MemoryEventStore> {
    let store = memory_store();
    let commands = handler_with(store.clone(), snapshots.clone());
    let (note, text) = (NOTE, "Take 0".to_owned());
    execute(&commands, RemarkCommand::Create { note, text }).await;
    for number in 1..LENGTH {
        execute(&commands, rewrite(number)).await;
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
        r#"{"note":"00000000-0000-0000-0000-000000000001","text":"Take 639","stage":"open"}"#
    );

    let store = Arc::new(TestStore::counting(store));
    let commands = handler_with(store.clone(), snapshots.clone());
    let unchanged = execute(&commands, rewrite(LENGTH - 1)).await;
    assert_eq!(unchanged, Some(Sequence::new(LENGTH - 1)));
    assert_eq!(
        store.streamed(),
        1 + (LENGTH - 640),
        "the event of the snapshot, and those after it"
    );
}

/// Expects that a handler uses the snapshot, and so believes that the remark is deleted.
async fn expect_to_mislead(
    store: &Arc<MemoryEventStore>,
    snapshots: &Arc<MemorySnapshotStore>,
    snapshot: Snapshot,
) {
    let state: Result<RemarkState, _> = serde_json::from_str(snapshot.state.as_str());
    assert!(state.is_ok(), "the snapshot has a state: {state:?}");
    snapshots.save_snapshot(snapshot).await.expect("saved");
    let commands = handler_with(store.clone(), snapshots.clone());
    // The handler reads no events before the snapshot, and the events after it do not restore
    // the remark.
    let context = CommandContext::default();
    let rewrite = rewrite(LENGTH - 1);
    let refused = commands.execute::<RemarkState>(&ID, &rewrite, &context);
    let refused = refused.await.expect_err("the remark counts as deleted");
    assert!(
        matches!(refused, CommandError::Refused(RemarkError::NotFound)),
        "{refused}"
    );
}

#[tokio::test]
async fn invalid_snapshot_is_not_used() {
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let store = long_stream(&snapshots).await;
    let fitting = saved(&*snapshots, 639).await;
    // Each of these snapshots says that the remark is deleted, so its use would refuse the
    // command.
    let (note, text) = (NOTE, "Take 0".to_owned());
    let events = [RemarkEvent::Created { note, text }, RemarkEvent::Deleted];
    let deleted = RemarkState::fold(&events);
    let misleading = Snapshot {
        state: Payload::of(&deleted).expect("JSON"),
        ..fitting.clone()
    };
    // A snapshot in which only the state is wrong does mislead.
    expect_to_mislead(&store, &snapshots, misleading.clone()).await;
    let not_a_state = Payload::from_text(r#"{"stage":"gone"}"#.to_owned()).expect("JSON");
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
        let unchanged = execute(&commands, rewrite(LENGTH - 1)).await;
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
    let unchanged = execute(&commands, rewrite(LENGTH - 1)).await;
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
        execute(&commands, rewrite(LENGTH - 1)).await;
        assert!(counting.streamed() >= LENGTH, "{mark:?}");
        saved(&*snapshots, LENGTH - 1).await;
    }
}
