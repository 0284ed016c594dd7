//! Plays random histories. Whatever browsers were sent, and whenever they read it, they show
//! what the read model says. No patch is about an element that its browser does not have.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use ironstar_adapters::memory::{
    MemoryEventBus, MemoryEventStore, MemoryProjectionStore, MemorySnapshotStore,
};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::todo::{ListWide, TodoItem};
use ironstar_app::{
    CommandContext, CommandHandler, EventFeed, FeedOptions, Projections, TodoService,
};
use ironstar_domain::list::ListId;
use ironstar_domain::todo::TodoCommand;
use ironstar_ports::EventStore;
use proptest::prelude::*;

use super::{Location, Show, TodoLists, TodoView, cut};
use crate::features::todo::parts::item;
use crate::features::todo::window::PAGE;
use crate::stream::live::LiveViews;
use crate::stream::sse::EventId;
use browser::Browser;

mod browser;

/// A step of a history.
#[derive(Clone, Debug)]
enum Happening {
    Create,
    /// This step and the next two are about an existing todo, by its number.
    Toggle(usize),
    Rename(usize),
    Delete(usize),
    OnAll(u8),
    /// A browser opens a page, which may begin behind one of the todos.
    Open(u8, Option<usize>),
    /// A browser reads everything that was sent to it.
    Read(usize),
    /// A browser's connection breaks, and is opened again.
    Break(usize),
    /// All changes are sent.
    Settle,
}

struct World {
    store: Arc<MemoryEventStore>,
    service: TodoService,
    lists: TodoLists,
    views: LiveViews<Location, TodoView>,
    browsers: Vec<Browser>,
    names: u32,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let bus = Arc::new(MemoryEventBus::new());
        let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default())
            .await
            .expect("a feed");
        let projections = Projections::new(
            Arc::new(MemoryProjectionStore::new()),
            store.clone(),
            feed,
            Arc::new(SystemClock),
        );
        let commands = CommandHandler::new(
            store.clone(),
            Arc::new(MemorySnapshotStore::new()),
            bus,
            Arc::new(SystemIdSource),
        );
        let model = projections.model();
        let lists = TodoLists::new(model.clone());
        Self {
            store,
            service: TodoService::new(commands, lists.clone()),
            lists,
            views: LiveViews::new(model),
            browsers: Vec::new(),
            names: 0,
        }
    }

    async fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Create => {
                let create = TodoCommand::Create {
                    text: self.name(),
                    list: ListId::SHARED,
                };
                let id = self.service.next_id();
                self.command(id, &create).await;
            }
            Happening::Toggle(nth) => {
                if let Some(todo) = self.todo(*nth).await {
                    let command = if todo.completed {
                        TodoCommand::Reopen
                    } else {
                        TodoCommand::Complete
                    };
                    self.command(todo.id, &command).await;
                }
            }
            Happening::Rename(nth) => {
                if let Some(todo) = self.todo(*nth).await {
                    let text = self.name();
                    self.command(todo.id, &TodoCommand::Rename { text }).await;
                }
            }
            Happening::Delete(nth) => {
                if let Some(todo) = self.todo(*nth).await {
                    self.command(todo.id, &TodoCommand::Delete).await;
                }
            }
            Happening::OnAll(which) => {
                let commands = [
                    ListWide::CompleteAll,
                    ListWide::ReopenAll,
                    ListWide::ClearCompleted,
                ];
                let command = commands[usize::from(*which) % 3];
                let context = CommandContext::default();
                let done = self
                    .service
                    .execute_on_list(ListId::SHARED, command, &context);
                done.await.expect("the command is carried out");
            }
            Happening::Open(show, nth) => self.open(*show, *nth).await,
            Happening::Read(nth) => {
                let count = self.browsers.len();
                if let Some(browser) = self.browsers.get_mut(nth % count.max(1)) {
                    browser.read().await;
                }
            }
            Happening::Break(nth) => {
                let count = self.browsers.len();
                if count > 0 {
                    let index = nth % count;
                    let Browser { at, seen, .. } = self.browsers[index];
                    let frames = self.watch(at, seen).await;
                    self.browsers[index].frames = frames;
                }
            }
            Happening::Settle => self.settle().await,
        }
    }

    fn name(&mut self) -> ironstar_domain::todo::TodoText {
        self.names += 1;
        format!("Todo {}", self.names).parse().expect("a text")
    }

    async fn command(&self, id: ironstar_domain::todo::TodoId, command: &TodoCommand) {
        let context = CommandContext::default();
        let done = self.service.execute(id, command, &context).await;
        done.expect("the command has no rival");
    }

    /// One of the todos that exist now.
    async fn todo(&self, nth: usize) -> Option<TodoItem> {
        self.reach().await;
        let all = Location::default();
        let page = self.lists.page(all.list, all.show, None, 1_000).await;
        let mut todos = page.expect("a page").todos;
        let count = todos.len();
        (count > 0).then(|| todos.swap_remove(nth % count))
    }

    /// Waits until the read model includes all events. They may not have been sent yet.
    async fn reach(&self) {
        let head = self.store.head().await.expect("the head");
        let reached = self.lists.reach(head, Duration::from_secs(60)).await;
        reached.expect("the read model goes on");
    }

    async fn settle(&self) {
        self.reach().await;
        // Longer than a frame. The clock of this test moves for nothing else.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn open(&mut self, show: u8, nth: Option<usize>) {
        let after = match nth {
            Some(nth) => self.todo(nth).await.map(|todo| todo.created),
            None => None,
        };
        let shows = [Show::All, Show::Active, Show::Completed];
        let at = Location {
            list: ListId::SHARED,
            show: shows[usize::from(show) % 3],
            after,
            ..Location::default()
        };
        let cut = cut(&self.views, &self.lists, at).await.expect("a page");
        let items = cut.page.todos.iter().map(|todo| draw(todo, at)).collect();
        let seen = Some(cut.id());
        let frames = self.watch(at, seen).await;
        self.browsers.push(Browser {
            at,
            items,
            frames,
            seen,
        });
    }

    async fn watch(&self, at: Location, seen: Option<EventId>) -> BoxStream<'static, Bytes> {
        let make = || TodoView::new(at, self.lists.clone());
        self.views
            .open(&at, make)
            .await
            .watch(seen)
            .map(|(_, frame)| frame)
            .boxed()
    }

    /// Checks that all browsers show the read model.
    async fn check(&mut self) {
        self.settle().await;
        for browser in &mut self.browsers {
            browser.read().await;
            let at = browser.at;
            let until = self.views.look(&at, TodoView::until).flatten();
            let until = until.expect("the view of an open page knows its end");
            let page = self.lists.page(at.list, at.show, at.after, 1_000).await;
            let todos = page.expect("a page").todos.into_iter();
            let here: Vec<String> = todos
                .filter(|todo| until.is_none_or(|until| todo.created <= until))
                .map(|todo| draw(&todo, at))
                .collect();
            let is_cut_well = until.is_none() || here.len() >= PAGE / 2;
            assert!(is_cut_well && here.len() <= PAGE * 2, "{}", here.len());
            let (shown, here) = (short(&browser.items), short(&here));
            assert_eq!(shown, here, "{at:?} until {until:?}");
        }
    }
}

/// The parts of items that tell them apart.
fn short(items: &[String]) -> Vec<String> {
    let items = items.iter();
    items
        .map(|item| {
            let (_, text) = item.split_once("<label dir=\"auto\">").expect("a label");
            let (text, _) = text.split_once('<').expect("its end");
            let mark = if item.contains("class=\"completed\"") {
                "x"
            } else {
                ""
            };
            format!("{text}{mark}")
        })
        .collect()
}

fn draw(todo: &TodoItem, at: Location) -> String {
    item(todo, at, None).into_string()
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        6 => Just(Happening::Create),
        6 => any::<usize>().prop_map(Happening::Toggle),
        2 => any::<usize>().prop_map(Happening::Rename),
        4 => any::<usize>().prop_map(Happening::Delete),
        1 => any::<u8>().prop_map(Happening::OnAll),
        3 => (any::<u8>(), proptest::option::of(any::<usize>()))
            .prop_map(|(show, nth)| Happening::Open(show, nth)),
        4 => any::<usize>().prop_map(Happening::Read),
        1 => any::<usize>().prop_map(Happening::Break),
        4 => Just(Happening::Settle),
    ];
    proptest::collection::vec(happening, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_browser_shows_the_read_model(happenings in happenings(), already in 0_usize..12) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new().await;
            for _ in 0..already {
                world.happens(&Happening::Create).await;
            }
            world.reach().await;
            for happening in &happenings {
                world.happens(happening).await;
            }
            world.check().await;
        });
    }
}

/// All todos are completed and reopened, and the page is cut again in between. The changes
/// that are sent then are about three todos, and the page has nine.
#[tokio::test(start_paused = true)]
async fn page_that_was_read_in_the_middle_of_changes_is_read_again() {
    use Happening::{Create, Delete, OnAll, Open, Read, Settle, Toggle};
    let happenings = [
        [Create, Create, Create, Create].as_slice(),
        &[Open(190, None), Toggle(48_077_840_540_284), Delete(0)],
        &[Create, Toggle(822_390_523_782_734_185), Open(91, None)],
        &[Toggle(142_921_982_514_503_749), Create],
        &[Toggle(1_255_614_509_431_078_473)],
        &[Toggle(5_092_856_758_207_626_109), Settle, Create],
        &[OnAll(9), OnAll(43), Read(268_267_893_140_813_353)],
    ];
    let mut world = World::new().await;
    for _ in 0..3 {
        world.happens(&Create).await;
    }
    world.reach().await;
    for happening in happenings.concat() {
        world.happens(&happening).await;
    }
    world.check().await;
}
