//! Starts everything in order, and ends everything in the opposite order.
//!
//! When a backup is restored over the database while it is open, what is in memory is
//! of a log that is gone. Then everything ends and starts again, as if the process did,
//! but for the port: so nothing that is kept anywhere can be forgotten.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use ironstar_adapters::sqlite::{SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_adapters::zenoh::ZenohEventBus;
use ironstar_app::access::{Gates, Links};
use ironstar_app::list::ArchiveDoneLists;
use ironstar_app::{CommandHandler, EventFeed, FeedOptions, ListService, Projections};
use ironstar_ports::{IdSource, SecretStore};
use ironstar_web::Services;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::{output, serve, shutdown};

/// How long requests that are under way get to finish; and then, one after the other,
/// what follows the log, the bus and the store. Together below 5 s, when a supervisor
/// loses patience.
const DRAIN: Duration = Duration::from_secs(3);
const CLOSE: Duration = Duration::from_millis(600);

/// Why the server does not go on as it is.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// A backup was restored over the database.
    OtherHistory(TcpListener),
}

/// Runs the server until it is told to stop.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal().context("cannot listen for signals")?;
    // A port that is taken is noticed before the database is touched.
    let mut listener = listen(config.listen).await?;
    let mut is_first = true;
    loop {
        let running = run_on_one_history(listener, config, &shutdown, is_first);
        match running.await? {
            Ended::Stopped => break,
            Ended::OtherHistory(kept) => listener = kept,
        }
        is_first = false;
        tracing::warn!("the server begins again on what was restored");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Runs the server until it is told to stop, or the database holds another history than
/// when it was opened.
async fn run_on_one_history(
    listener: TcpListener,
    config: &Config,
    shutdown: &CancellationToken,
    is_first: bool,
) -> anyhow::Result<Ended> {
    let database = SqliteDatabase::open(&config.database_url.0).await?;
    let path = database.path().to_owned();
    let store = Arc::new(SqliteEventStore::new(
        database,
        Arc::new(SystemClock),
        config.command_retention(),
    ));
    let bus = Arc::new(ZenohEventBus::embedded().await?);
    let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default()).await?;
    let commands = CommandHandler::new(
        store.clone(),
        store.clone(),
        bus.clone(),
        Arc::new(SystemIdSource),
    );
    let projections = Projections::new(
        Arc::new(store.projections()),
        store.clone(),
        feed.clone(),
        store.clock(),
    );
    manage_processes(&commands, &projections, config);
    let sessions = Arc::new(store.sessions());
    let ending = shutdown.child_token();
    end_with_history(&feed, &ending);
    let services = Services {
        gates: Gates::start(commands.clone(), &feed),
        links: Links::new(sessions.secret("links", new_secret()).await?),
        commands,
        feed: feed.clone(),
        store: store.clone(),
        projections: projections.clone(),
        bus: bus.clone(),
        sessions,
        identities: config.identities()?,
        clock: store.clock(),
        ids: Arc::new(SystemIdSource),
        shutdown: ending.clone(),
    };
    let router = ironstar_web::router(services, config.site(), config.limits());
    if is_first {
        announce(&listener, &path, config)?;
    }
    let ended = serve(listener, router, config, shutdown, ending).await;
    feed.stop();
    let followed = async {
        feed.stopped().await;
        projections.stopped().await;
        Ok::<(), Infallible>(())
    };
    within_close("what follows the log", followed).await;
    // After the feed, which would report otherwise that the bus is gone.
    within_close("the bus", bus.close()).await;
    within_close("the store", store.close()).await;
    Ok(ended)
}

/// Ends what runs on a history once the feed has noticed that the database holds
/// another.
fn end_with_history(feed: &EventFeed, ending: &CancellationToken) {
    let (feed, ending) = (feed.clone(), ending.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = feed.other_history() => ending.cancel(),
            () = ending.cancelled() => {}
        }
    });
}

/// A secret for a database that has none yet.
fn new_secret() -> [u8; 32] {
    let ids = SystemIdSource;
    let mut secret = [0; 32];
    secret[..24].copy_from_slice(&ids.next_secret());
    secret[24..].copy_from_slice(&ids.next_secret()[..8]);
    secret
}

/// Starts the process managers that the operator wants.
fn manage_processes(commands: &CommandHandler, projections: &Projections, config: &Config) {
    if let Some(patience) = config.archive_done_lists_after.0 {
        let lists = ListService::new(commands.clone(), projections.model());
        projections.manage::<ArchiveDoneLists, _>(commands.clone(), lists, patience);
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = [
            (
                io::ErrorKind::AddrInUse,
                "another program does; stop it, or choose another port with --listen",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "this machine has no such address; choose one of its own with --listen, or \
                 0.0.0.0 for all of them",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "this user may not, as for ports below 1024; choose another port with --listen",
            ),
        ];
        let advice = advice.into_iter().find(|(kind, _)| *kind == error.kind());
        match advice {
            Some((_, advice)) => anyhow!("cannot listen on {address}: {advice}"),
            None => anyhow!(error).context(format!("cannot listen on {address}")),
        }
    })
}

/// Says where the application is. If no reader takes that, the log has it, and the
/// server serves all the same.
fn announce(listener: &TcpListener, database: &Path, config: &Config) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let database = database.display();
    let ready = format!("ironstar is ready at http://{address} (events in {database})");
    let site = config.site().address;
    let site = site.map(|site| format!("people find it at {site}"));
    for line in std::iter::once(ready).chain(site) {
        if let Err(error) = output::say(&line) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "{line}");
        }
    }
    Ok(())
}

/// Serves until it has to end, and then until everyone has been answered, but
/// not for longer than [`DRAIN`].
async fn serve(
    mut listener: TcpListener,
    router: Router,
    config: &Config,
    shutdown: &CancellationToken,
    ending: CancellationToken,
) -> Ended {
    let room = serve::Room {
        all: serve::make_room(config.max_connections()),
        each: config.connections_per_client(),
    };
    let connections = serve::serve(&mut listener, router, room, ending).await;
    let ended = if shutdown.is_cancelled() {
        // No client waits to be accepted by a server that stops.
        drop(listener);
        Ended::Stopped
    } else {
        Ended::OtherHistory(listener)
    };
    if tokio::time::timeout(DRAIN, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    ended
}

/// Closes something, unless that takes too long.
async fn within_close<E: std::error::Error + 'static>(
    what: &str,
    closing: impl Future<Output = Result<(), E>>,
) {
    match tokio::time::timeout(CLOSE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "{what} did not close in good order"
        ),
        Err(_) => tracing::warn!("{what} did not close in time"),
    }
}
