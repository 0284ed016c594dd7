//! Lists that are done are archived after a waiting time.

use std::time::Duration;

use ironstar_app::process::{Executor, NotExecuted};
use ironstar_app::todo::{ArchiveDoneLists, ListAt, ListStep};
use ironstar_app::{CommandContext, CommandHandler, ListService};
use ironstar_domain::list::{ListCommand, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoId, TodoState};
use ironstar_ports::{Origin, Sequence};
use tokio::time::sleep;

use crate::processes::support::{Node, World, request};
use crate::processes::{HOUR, MINUTE};

impl Node {
    fn lists(&self) -> ListService {
        ListService::new(self.commands.clone(), self.projections.model())
    }

    fn archive_after(&self, patience: Duration) {
        self.archive_with(self.lists(), patience);
    }

    fn archive_with(&self, executor: impl Executor<ListStep>, patience: Duration) {
        let commands = self.commands.clone();
        let projections = &self.projections;
        self.keep(projections.manage::<ArchiveDoneLists, _>(commands, executor, patience));
    }

    async fn new_todo(&self, list: ListId) -> TodoId {
        let id = self.commands.next_id().into();
        let text = "Buy milk".parse().expect("a text");
        self.on_todo(id, TodoCommand::Create { text, list }).await;
        id
    }

    async fn on_todo(&self, id: TodoId, command: TodoCommand) {
        let context = request();
        let done = self.commands.execute::<TodoState>(&id, &command, &context);
        done.await.expect("accepted");
    }

    async fn on_list(&self, id: ListId, command: ListCommand) {
        let (lists, context) = (self.lists(), request());
        let done = lists.execute(id, &command, &context);
        done.await.expect("accepted");
    }

    /// A list whose only todo is completed.
    async fn done_list(&self) -> ListId {
        let list = self.lists().next_id();
        let name = "Groceries".parse().expect("a name");
        self.on_list(list, ListCommand::Create { name, owner: None })
            .await;
        let todo = self.new_todo(list).await;
        self.on_todo(todo, TodoCommand::Complete).await;
        list
    }
}

/// An executor that pauses first.
struct Slowly(ListService, Duration);

impl Executor<ListStep> for Slowly {
    async fn execute(&self, step: &ListStep, context: &CommandContext) -> Result<(), NotExecuted> {
        sleep(self.1).await;
        Executor::execute(&self.0, step, context).await
    }
}

/// An executor that opens the todo of a list again just before the list is archived. If it
/// `insists`, it also restores and archives the list just before the list is restored.
struct Touching {
    commands: CommandHandler,
    lists: ListService,
    todo: TodoId,
    insists: bool,
}

impl Touching {
    /// The list must be the only one, and have one todo.
    async fn only_list(world: &World, node: &Node, insists: bool) -> Self {
        let created = &world.log().await[1];
        Self {
            commands: node.commands.clone(),
            lists: node.lists(),
            todo: created.stream.aggregate_id.parse().expect("an id"),
            insists,
        }
    }
}

impl Executor<ListStep> for Touching {
    async fn execute(&self, step: &ListStep, context: &CommandContext) -> Result<(), NotExecuted> {
        if matches!(step, ListStep::Archive(_)) {
            let (reopen, context) = (TodoCommand::Reopen, request());
            let reopened = self
                .commands
                .execute::<TodoState>(&self.todo, &reopen, &context);
            reopened.await?;
        }
        if let ListStep::Restore(at) = step
            && self.insists
        {
            for command in [ListCommand::Restore, ListCommand::Archive] {
                let context = request();
                let done = self.lists.execute(at.list, &command, &context).await;
                done?;
            }
        }
        Executor::execute(&self.lists, step, context).await
    }
}

#[tokio::test(start_paused = true)]
async fn done_list_is_archived_after_its_waiting_time() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.done_list().await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    assert!(matches!(
        world.state::<ListState>(list).await,
        ListState::Archived(_)
    ));
    sleep(10 * HOUR).await;
    assert_eq!(world.count("archived").await, 1);
}

#[tokio::test(start_paused = true)]
async fn change_of_a_list_restarts_its_waiting_time() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.done_list().await;
    sleep(HOUR / 2).await;
    let name = "Food".parse().expect("a name");
    node.on_list(list, ListCommand::Rename { name }).await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    node.on_list(list, ListCommand::Restore).await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(world.count("archived").await, 1);
    sleep(2 * MINUTE).await;
    assert_eq!(world.count("archived").await, 2);
}

#[tokio::test(start_paused = true)]
async fn list_that_changes_at_the_last_moment_is_restored() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let touching = Touching::only_list(&world, &node, false).await;
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let kinds: Vec<String> = world.log().await[3..]
        .iter()
        .map(|event| format!("{} {}", event.stream.aggregate_type, event.event_type))
        .collect();
    assert_eq!(
        kinds,
        [
            // Just before the list is archived, another caller opens its todo again.
            "Todo reopened",
            "List archived",
            "Step carried_out",
            "List restored",
            "Step carried_out"
        ]
    );
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Open(_)), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn list_that_changes_while_others_are_archived_stays_open() {
    let world = World::new();
    let node = world.node().await;
    let mut lists = Vec::new();
    for _ in 0..50 {
        lists.push(node.done_list().await);
    }
    node.archive_with(Slowly(node.lists(), MINUTE / 100), HOUR);
    sleep(HOUR + MINUTE / 4).await;
    assert!(world.count("archived").await < 40, "some are left");
    let mut last = lists[0];
    for list in lists {
        if matches!(world.state(list).await, ListState::Open(_)) {
            last = list;
        }
    }
    node.new_todo(last).await;
    sleep(HOUR).await;
    assert_eq!(world.count("archived").await, 49);
    assert_eq!(world.count("restored").await, 0);
    let state = world.state::<ListState>(last).await;
    assert!(matches!(state, ListState::Open(_)), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn list_is_not_restored_after_another_caller_has_changed_it() {
    let world = World::new();
    let node = world.node().await;
    let list = node.done_list().await;
    let touching = Touching::only_list(&world, &node, true).await;
    node.archive_with(touching, HOUR);
    sleep(HOUR + MINUTE).await;
    let state = world.state::<ListState>(list).await;
    assert!(matches!(state, ListState::Archived(_)), "{state:?}");
    assert_eq!(world.count("refused").await, 1);
    assert_eq!(world.count("archived").await, 2);
}

#[tokio::test(start_paused = true)]
async fn caller_cannot_pass_for_a_process_manager() {
    let world = World::new();
    let node = world.node().await;
    node.archive_after(HOUR);
    let list = node.lists().next_id();
    let name = "Groceries".parse().expect("a name");
    node.on_list(list, ListCommand::Create { name, owner: None })
        .await;
    let context = CommandContext {
        origin: Origin {
            causation_id: Some("archive-done-lists/1.0".to_owned()),
            ..Origin::default()
        },
        ..CommandContext::default()
    };
    let lists = node.lists();
    let archived = lists.execute(list, &ListCommand::Archive, &context);
    archived.await.expect("accepted");
    sleep(2 * HOUR).await;
    assert_eq!(world.count("restored").await, 0);
}

#[test]
fn stored_form_of_list_steps_does_not_change() {
    let list: ListId = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"
        .parse()
        .expect("an id");
    let at = ListAt {
        list,
        sequence: Some(Sequence::new(3)),
    };
    let written = |step: &str| {
        format!(r#"{{"{step}":{{"list":"019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e","sequence":3}}}}"#)
    };
    for (step, written) in [
        (ListStep::Archive(at), written("archive")),
        (ListStep::Restore(at), written("restore")),
    ] {
        assert_eq!(serde_json::to_string(&step).expect("JSON"), written);
    }
}
