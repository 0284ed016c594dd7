//! The application with a bug in its store, for checks that need a process.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::Arc;

use ironstar_adapters::memory::{MemoryEventBus, MemorySnapshotStore};
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::access::Gates;
use ironstar_app::caller::Links;
use ironstar_app::{CommandHandler, EventFeed, FeedOptions, Projections};
use ironstar_server::Application;
use ironstar_web::{Limits, Services, Site};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::bug::plant;
use crate::disk::{Disk, Faults};
use crate::server::DATABASE;
use crate::vfs::Mount;
use crate::{Bug, NotesSite};

/// Serves the database in a folder with a bug, until killed.
///
/// # Errors
///
/// The database cannot be served.
pub async fn serve(folder: &Path, bug: Bug, site: &NotesSite) -> anyhow::Result<()> {
    let mut _mount = None;
    if bug == Bug::AcknowledgesBeforeSync {
        let disk = Disk::new(0);
        disk.fail(Faults {
            ignores_syncs: true,
            ..Faults::default()
        });
        _mount = Some(Mount::new(folder, Arc::new(disk))?);
    }
    let database = if bug == Bug::LooksElsewhere {
        open_elsewhere(folder).await?
    } else {
        SqliteDatabase::open(&folder.join(DATABASE).into()).await?
    };
    let clock = Arc::new(SystemClock);
    let store = SqliteEventStore::new(database, clock.clone(), DEFAULT_COMMAND_RETENTION);
    let documents = Arc::new(store.projections());
    let sessions = Arc::new(store.sessions());
    let store = plant(Some(bug), Arc::new(store)).await?;
    let bus = Arc::new(MemoryEventBus::new());
    let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default()).await?;
    let snapshots = Arc::new(MemorySnapshotStore::new());
    let ids = Arc::new(SystemIdSource);
    let commands = CommandHandler::new(store.clone(), snapshots, bus.clone(), ids.clone());
    let projections = Projections::new(documents, store.clone(), feed.clone(), clock.clone());
    site.manage_processes(&commands, &projections);
    let services = Services {
        features: NotesSite::FEATURES,
        gates: Gates::start(commands.clone(), &feed),
        links: Links::new([0; 32]),
        commands,
        feed,
        store,
        projections,
        bus,
        sessions,
        identities: None,
        clock,
        ids,
        shutdown: CancellationToken::new(),
    };
    let router = ironstar_web::router(
        services,
        site.site_features(),
        Site {
            name: NotesSite::SITE,
            address: None,
        },
        Limits::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    writeln!(stdout(), "{} is ready at http://{address}", NotesSite::SITE)?;
    axum::serve(listener, router).await?;
    Ok(())
}

/// Opens the database under other names, so that faults of the files in the folder are not
/// noticed.
async fn open_elsewhere(folder: &Path) -> anyhow::Result<SqliteDatabase> {
    let elsewhere = folder.join("elsewhere");
    fs::create_dir(&elsewhere)?;
    let database = SqliteDatabase::open(&elsewhere.join(DATABASE).into()).await?;
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{DATABASE}{suffix}");
        fs::hard_link(elsewhere.join(&name), folder.join(&name))?;
    }
    Ok(database)
}
