//! Starts everything in order, and ends everything in the opposite order.
//!
//! When a backup is restored over the open database, the state in memory belongs to a log that
//! no longer exists. Then everything ends and starts again, as in a new process, except that
//! the port is kept. So no stale state can be forgotten anywhere.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use ironstar_adapters::database::Stores;
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::access::Gates;
use ironstar_app::caller::Links;
use ironstar_app::{CommandHandler, EventFeed, FeedOptions, Leases, Projections};
use ironstar_ports::{IdSource, NodeId};
use ironstar_web::{Services, Site};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::application::Application;
use crate::config::Config;
use crate::{nodes, output, serve, shutdown};

/// The time limit for requests in progress. After them, the readers of the log, the leases, the
/// bus and the store each have the time limit `CLOSE`, one after the other. The sum stays below 5 s,
/// after which a supervisor may kill the process.
const DRAIN: Duration = Duration::from_secs(3);
const CLOSE: Duration = Duration::from_millis(450);

/// The pauses between two attempts to reach the database at the start.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The reason why serving ended.
enum Ended {
    /// The server received a signal to stop.
    Stopped,
    /// A backup was restored over the database.
    OtherHistory(TcpListener),
}

/// Serves an application until the server receives a signal to stop.
pub(crate) async fn run<A: Application>(config: &Config, application: &A) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal().context("cannot listen for signals")?;
    // Before the database, so that a port in use is reported before the database is touched.
    let mut listener = listen(config.listen).await?;
    let mut is_first = true;
    loop {
        let running = run_on_one_history(listener, config, application, &shutdown, is_first);
        match running.await? {
            Ended::Stopped => break,
            Ended::OtherHistory(kept) => listener = kept,
        }
        is_first = false;
        tracing::warn!("the server starts again on the restored log");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Runs the server until it receives a signal to stop, or until the database holds a history
/// other than the one that was opened.
async fn run_on_one_history<A: Application>(
    listener: TcpListener,
    config: &Config,
    application: &A,
    shutdown: &CancellationToken,
    is_first: bool,
) -> anyhow::Result<Ended> {
    let Some(stores) = open_database(config, shutdown).await? else {
        return Ok(Ended::Stopped);
    };
    let store = &stores.events;
    let bus = Arc::new(config.bus.open().await?);
    let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default()).await?;
    let commands = CommandHandler::new(
        store.clone(),
        stores.snapshots.clone(),
        bus.clone(),
        Arc::new(SystemIdSource),
    );
    let leases = join_nodes(&stores, &feed, A::VERSION, listener.local_addr()?);
    let projections = Projections::new(
        stores.projections.clone(),
        store.clone(),
        feed.clone(),
        stores.clock.clone(),
    )
    .shared_by(leases.clone());
    let features = A::FEATURES;
    features
        .hand_overs(&commands, &projections)
        .manage(&projections);
    application.manage_processes(&commands, &projections);
    let ending = shutdown.child_token();
    end_with_history(&feed, &ending);
    let services = Services {
        features,
        gates: Gates::start(commands.clone(), &feed),
        links: Links::new(stores.secrets.secret("links", new_secret()).await?),
        commands,
        feed: feed.clone(),
        store: store.clone(),
        projections: projections.clone(),
        bus: bus.clone(),
        sessions: stores.sessions.clone(),
        identities: config.identities()?,
        clock: stores.clock.clone(),
        ids: Arc::new(SystemIdSource),
        shutdown: ending.clone(),
    };
    let router = ironstar_web::router(
        services,
        application.site_features(),
        config.site(A::SITE),
        config.limits(),
    );
    if is_first {
        announce::<A>(&listener, &stores.name, config)?;
    }
    let ended = serve(listener, router, config, shutdown, ending).await;
    feed.stop();
    let followed = async {
        feed.stopped().await;
        projections.stopped().await;
        Ok::<(), Infallible>(())
    };
    within_close("the readers of the log", followed).await;
    within_close("the leases", leases.leave()).await;
    // After the feed, which would otherwise report the closed bus as an error.
    within_close("the bus", bus.close()).await;
    within_close("the store", stores.close()).await;
    Ok(ended)
}

/// Joins the other servers on the same database, if it is made for several.
fn join_nodes(stores: &Stores, feed: &EventFeed, version: &str, address: SocketAddr) -> Leases {
    let Some(leases) = &stores.leases else {
        return Leases::unshared();
    };
    let id = NodeId::new(SystemIdSource.next_id().to_string());
    let about = nodes::about(version, address.to_string());
    let feed = feed.clone();
    Leases::join(leases.clone(), id, about, move || feed.head())
}

/// Opens the database. If its server cannot be reached, tries again until it can, or until this
/// server is told to stop: then there is nothing to return.
async fn open_database(
    config: &Config,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Stores>> {
    let mut pause = FIRST_PAUSE;
    loop {
        let (clock, retention) = (Arc::new(SystemClock), config.command_retention());
        let opened = tokio::select! {
            opened = config.database_url.open(clock, retention) => opened,
            () = shutdown.cancelled() => return Ok(None),
        };
        let error = match opened {
            Ok(stores) => return Ok(Some(stores)),
            Err(error) if error.may_heal() => error,
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the database of --database-url cannot be reached; the server tries again in {} s",
            pause.as_secs()
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Ends everything that runs on a history, once the feed has noticed that the database holds
/// another one.
fn end_with_history(feed: &EventFeed, ending: &CancellationToken) {
    let (feed, ending) = (feed.clone(), ending.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = feed.other_history() => ending.cancel(),
            () = ending.cancelled() => {}
        }
    });
}

/// Returns a secret for a database that has none yet.
fn new_secret() -> [u8; 32] {
    let ids = SystemIdSource;
    let mut secret = [0; 32];
    secret[..24].copy_from_slice(&ids.next_secret());
    secret[24..].copy_from_slice(&ids.next_secret()[..8]);
    secret
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = [
            (
                io::ErrorKind::AddrInUse,
                "the port is already in use. Stop the other program, or choose another port with \
                 --listen",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "this machine does not have this address. Choose one of its own addresses with \
                 --listen, or 0.0.0.0 for all of them",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "this user lacks the permission, as for ports below 1024. Choose another port with \
                 --listen",
            ),
        ];
        let advice = advice.into_iter().find(|(kind, _)| *kind == error.kind());
        match advice {
            Some((_, advice)) => anyhow!("cannot listen on {address}: {advice}"),
            None => anyhow!(error).context(format!("cannot listen on {address}")),
        }
    })
}

/// Prints the address of the application. If standard output does not take the line, the line
/// goes to the log, and the server serves all the same.
fn announce<A: Application>(
    listener: &TcpListener,
    database: &str,
    config: &Config,
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let Site {
        name,
        address: public,
    } = config.site(A::SITE);
    let ready = format!("{name} is ready at http://{address} (events in {database})");
    let public = public.map(|public| format!("its public address is {public}"));
    for line in std::iter::once(ready).chain(public) {
        if let Err(error) = output::say(&line) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "{line}");
        }
    }
    Ok(())
}

/// Serves until `ending` is cancelled. Then waits until all clients have their answers, at
/// most for [`DRAIN`].
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
        // So that no client waits for a connection to a server that stops.
        drop(listener);
        Ended::Stopped
    } else {
        Ended::OtherHistory(listener)
    };
    if tokio::time::timeout(DRAIN, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were aborted");
    }
    ended
}

/// Waits until a component is closed, at most for [`CLOSE`].
async fn within_close<E: std::error::Error + 'static>(
    what: &str,
    closing: impl Future<Output = Result<(), E>>,
) {
    match tokio::time::timeout(CLOSE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "{what} failed to close"
        ),
        Err(_) => tracing::warn!("{what} did not close in time"),
    }
}
