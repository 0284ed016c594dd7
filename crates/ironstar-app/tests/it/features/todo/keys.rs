//! The answers to repeated commands on todos, after their caller has lost its right to the list.

use std::sync::Arc;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_app::caller::Links;
use ironstar_app::todo::{TodoLists, TodoService};
use ironstar_app::{Caller, CommandContext, CommandError, KeyedRequest};
use ironstar_domain::list::{ListCommand, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId};
use ironstar_domain::{LinkAccess, LinkId, OwnershipCommand, Principal};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{Append, AppendError, Appended, EventStore};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::support::{SOON, World, handler};

/// A store that stops for the test before and after each append.
#[derive(Debug)]
struct GatedStore {
    inner: Arc<MemoryEventStore>,
    gate: Barrier,
}

impl GatedStore {
    /// Waits until the test has come, and then until it goes on.
    async fn stop(&self) {
        self.meet().await;
        self.meet().await;
    }

    /// Waits until an append has stopped, does this meanwhile, and lets the append go on.
    async fn at_next_stop(&self, meanwhile: impl Future<Output = ()>) {
        self.meet().await;
        meanwhile.await;
        self.meet().await;
    }

    async fn meet(&self) {
        let met = tokio::time::timeout(SOON, self.gate.wait()).await;
        met.expect("the test and the store meet");
    }
}

#[async_trait]
impl AroundEventStore for GatedStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.stop().await;
        let outcome = self.inner.append(append).await;
        self.stop().await;
        outcome
    }
}

#[tokio::test(start_paused = true)]
async fn caller_whose_link_is_revoked_between_two_attempts_gets_no_earlier_answer() {
    let world = World::new().await;
    let (list, link) = (
        ListId::from(Uuid::from_u128(1)),
        LinkId::from(Uuid::from_u128(2)),
    );
    let lists = handler(world.events.clone());
    let on_list = async |command: ListCommand| {
        let context = CommandContext::default();
        let outcome = lists.execute::<ListState>(&list, &command, &context).await;
        outcome.expect("accepted");
    };
    let name = "Groceries".parse().expect("valid");
    let owner = Some(Principal::User(Uuid::from_u128(1).into()));
    on_list(ListCommand::Create { name, owner }).await;
    let access = LinkAccess::Edit;
    on_list(OwnershipCommand::CreateLink { link, access }.into()).await;

    let links = Links::new([7; 32]);
    let presented = links.presented(links.token_of::<ListState>(&list, link));
    let guest = Principal::Guest(Uuid::from_u128(1).into());
    let context = CommandContext {
        caller: Caller::of(vec![guest]).by_link(Some(presented)),
        keyed: Some(KeyedRequest::new(
            "6".parse().expect("a key"),
            "create".to_owned(),
        )),
        ..CommandContext::default()
    };
    let create = async |store: Arc<dyn EventStore>, id: u128| {
        let todos = TodoService::new(handler(store), TodoLists::new(world.projections.model()));
        let id = TodoId::new(Uuid::from_u128(id));
        let text = "Milk".parse().expect("valid");
        let create = TodoCommand::Create { text, list };
        todos.execute(id, &create, &context).await
    };
    let gated = Arc::new(GatedStore {
        inner: world.events.clone(),
        gate: Barrier::new(2),
    });
    let (again, ()) = tokio::join!(create(gated.clone(), 3), async {
        // The first attempt loses a race.
        let name = "Food".parse().expect("valid");
        gated
            .at_next_stop(on_list(ListCommand::Rename { name }))
            .await;
        let earlier = async {
            create(world.events.clone(), 4).await.expect("created");
            on_list(OwnershipCommand::RevokeLink { link }.into()).await;
        };
        gated.at_next_stop(earlier).await;
    });
    assert!(
        matches!(again, Err(CommandError::Refused(TodoError::NoSuchList))),
        "{again:?}"
    );
}
