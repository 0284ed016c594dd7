//! An application with its read models, as the server runs them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use ironstar_adapters::sqlite::{SqliteEventStore, SqliteProjectionStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::list::ListProjection;
use ironstar_app::projection::News;
use ironstar_app::todo::{ArchiveDoneLists, Show, TodoLists, TodoProjection};
use ironstar_app::{EventFeed, FeedOptions, ListService, Projection, Projections, ReadModel};
use ironstar_domain::list::ListId;
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Envelope, EventStore, LogPlace, Position, ProjectionStore, Sequence, StoreError, StreamId,
};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use crate::commands::App;

/// The time after which any step counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// An application that keeps its read models up to date.
pub(crate) struct Projected {
    pub(crate) app: App,
    pub(crate) todos: ReadModel<TodoProjection>,
    feed: EventFeed,
    store: SqliteProjectionStore,
    log: Arc<WatchedLog>,
    path: PathBuf,
    /// The number of executed commands, as the clients count them.
    pub(crate) commands: Arc<AtomicU64>,
}

/// A rebuilt read model that has become live.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    /// The number of events that it contained when it became live.
    pub(crate) events: u64,
    /// The time since its first read of the log.
    pub(crate) time: Duration,
    /// The number of commands that were executed in this time.
    pub(crate) commands: u64,
}

impl Projected {
    /// Opens the application, and lets it catch up with its log.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let app = App::open(path).await?;
        let feed = EventFeed::start(app.store.clone(), &*app.bus, FeedOptions::default()).await?;
        let commands = Arc::new(AtomicU64::new(0));
        let log = Arc::new(WatchedLog {
            store: app.store.clone(),
            commands: commands.clone(),
            first_read: Mutex::default(),
        });
        let projections = Projections::new(
            Arc::new(app.store.projections()),
            log.clone(),
            feed.clone(),
            Arc::new(SystemClock),
        );
        let todos = projections.model::<TodoProjection>();
        let lists = projections.model::<ListProjection>();
        let archiving = ListService::new(app.commands.clone(), lists.clone());
        projections.manage::<ArchiveDoneLists, _>(app.commands.clone(), archiving, PATIENCE);
        let head = app.store.head().await?;
        todos.reach(head, PATIENCE).await?;
        lists.reach(head, PATIENCE).await?;
        let store = app.store.projections();
        Ok(Self {
            app,
            todos,
            feed,
            store,
            log,
            path: path.to_owned(),
            commands,
        })
    }

    /// Waits until the data of earlier builds is deleted.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement =
            connection.prepare("SELECT count(*) FROM projections WHERE state = 'ended'")?;
        let end = Instant::now() + PATIENCE;
        while statement.query_row([], |row| row.get::<_, i64>(0))? > 0 {
            ensure!(Instant::now() < end, "earlier builds are not swept");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Rebuilds the read model of todos beside the live one, and waits until the new build is
    /// live.
    pub(crate) async fn rebuild(&self) -> anyhow::Result<Rebuilt> {
        let mut news = self.todos.news().context("the projection runs")?;
        self.log.forget();
        let name = TodoProjection::NAME;
        let build = self.store.begin(name, TodoProjection::VERSION).await?;
        ensure!(
            build.checkpoint == LogPlace::START,
            "an earlier build is in progress"
        );
        let live = timeout(PATIENCE, async {
            loop {
                match news.recv().await {
                    Ok(News::Jumped(_)) => {
                        let found = self.todos.find(Vec::new(), None).await?;
                        if found.build == build.id {
                            return Ok(found);
                        }
                    }
                    Ok(News::Changed(_)) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => bail!("the projection has ended"),
                }
            }
        });
        let live = live.await.context("the rebuild does not end")??;
        let (began, before) = self.log.first_read().context("nothing was read")?;
        let time = began.elapsed();
        let commands = self.commands.load(Ordering::Relaxed) - before;
        Ok(Rebuilt {
            events: live.place.position.get(),
            time,
            commands,
        })
    }

    /// Makes sure that the todos are those of this log: their number is right, and each is
    /// completed, unless its client was stopped before that.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let head = self.app.store.head().await?;
        self.todos.reach(head, PATIENCE).await?;
        let lists = TodoLists::new(self.todos.clone());
        let page = lists.page(ListId::SHARED, Show::All, None, 1).await?;
        // A completed todo has two events, and an active todo has one.
        let counts = page.counts;
        ensure!(
            counts.active + 2 * counts.completed == head.get(),
            "{counts:?} are not the todos of {head} events"
        );
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.feed.stop();
        self.app.close().await
    }
}

/// A log that records the time of its first read, and the number of commands until then. Only
/// builds read this log, because all other readers use the feed.
#[derive(Debug)]
struct WatchedLog {
    store: Arc<SqliteEventStore>,
    commands: Arc<AtomicU64>,
    first_read: Mutex<Option<Read>>,
}

type Read = (Instant, u64);

impl WatchedLog {
    fn forget(&self) {
        *self.lock() = None;
    }

    fn first_read(&self) -> Option<Read> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Read>> {
        self.first_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) -> &SqliteEventStore {
        let now = || (Instant::now(), self.commands.load(Ordering::Relaxed));
        self.lock().get_or_insert_with(now);
        &self.store
    }
}

#[async_trait]
impl AroundEventStore for WatchedLog {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.note().load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.note().load_after(position, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.note().head().await
    }
}
