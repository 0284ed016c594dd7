//! Several nodes on one PostgreSQL server and one Zenoh router: the time until an event is at another
//! node, and the time until the leases of a killed server are taken over.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use ironstar_adapters::database::DatabaseUrl;
use ironstar_adapters::zenoh::{RouterAddress, ZenohEventBus, ZenohNetwork};
use ironstar_app::{EventFeed, FeedOptions};
use ironstar_cluster::Cluster;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::sleep;

use crate::pace::{self, CLIENTS, Wait};
use crate::postgres::Node;
use crate::server::Server;
use crate::{Figures, commands};

const NODES: usize = 3;

/// The requested share of the maximum rate.
const SHARE: f64 = 0.5;

/// The time after which any step counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of leases of each node that has reported lately, or has leases.
const LEASES: &str = "
    SELECT nodes.id, count(leases.name) FROM nodes LEFT JOIN leases ON leases.node = nodes.id
    GROUP BY nodes.id ORDER BY nodes.started_at";

/// Returns the time from a command's answer until its event is at another node, at half the
/// maximum rate of one node.
pub(crate) async fn event(time: Duration) -> anyhow::Result<Figures> {
    let cluster = Cluster::start()?;
    let url: DatabaseUrl = cluster.database().await?.parse()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("tcp/127.0.0.1:{port}");
    let router = router(&address).await?;
    let network = ZenohNetwork {
        routers: vec![address.parse::<RouterAddress>()?],
        ..ZenohNetwork::default()
    };
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(Node::open(&url, ZenohEventBus::on(&network).await?).await?);
    }
    let mut feeds = Vec::new();
    for node in &nodes {
        let store = node.stores.events.clone();
        feeds.push(EventFeed::start(store, &*node.bus, FeedOptions::default()).await?);
    }
    let run = async |time| {
        let start = Instant::now();
        let commands = commands::run(&nodes[0].commands, CLIENTS as usize, time).await?;
        anyhow::Ok(commands as f64 / start.elapsed().as_secs_f64())
    };
    run(time / 4).await?;
    let most = run(time).await?;
    let other = feeds[NODES - 1].clone();
    let wait: Wait = Arc::new(move |position| {
        let other = other.clone();
        Box::pin(async move {
            other.reached(position).await;
            Ok(())
        })
    });
    let figures = pace::measure(&nodes[0].commands, &wait, most * SHARE, time).await?;
    for (node, feed) in nodes.into_iter().zip(feeds) {
        feed.stop();
        node.close().await?;
    }
    router.close().await.map_err(|error| anyhow!(error))?;
    Ok(figures)
}

async fn router(address: &str) -> anyhow::Result<zenoh::Session> {
    let config = format!(
        "{{mode: 'router', listen: {{endpoints: ['{address}']}},
          scouting: {{multicast: {{enabled: false}}}}}}"
    );
    let config = zenoh::Config::from_json5(&config).map_err(|error| anyhow!(error))?;
    zenoh::open(config).await.map_err(|error| anyhow!(error))
}

/// Returns the times from the end of one of three servers until the others have its leases, if it
/// is killed and if it stops by itself, and the difference between the numbers of leases before.
pub(crate) async fn take_over(program: &Path) -> anyhow::Result<Figures> {
    let cluster = Cluster::start()?;
    let url = cluster.database().await?;
    let start = || Server::on(program, &url);
    let mut servers = vec![start()?, start()?, start()?];
    let mut connection = PgConnection::connect(&url).await?;
    let (all, _) = spread(&mut connection).await?;
    servers.remove(0).stop()?;
    let stopped = Instant::now();
    // The node of a server that has stopped is gone from the list.
    loop_until(&mut connection, |counts| {
        let held: i64 = counts.iter().sum();
        (counts.len() == NODES - 1 && held == all).then_some(())
    })
    .await?;
    let after_stop = stopped.elapsed();
    servers.push(start()?);
    let (_, difference) = spread(&mut connection).await?;
    // It is the first in the list, because it has run longest.
    drop(servers.remove(0));
    let killed = Instant::now();
    loop_until(&mut connection, |counts| {
        let left: i64 = counts.iter().skip(1).sum();
        (counts.first() == Some(&0) && left == all).then_some(())
    })
    .await?;
    let after_kill = killed.elapsed();
    connection.close().await?;
    Ok(vec![
        ("difference", difference as f64),
        ("stopped_seconds", after_stop.as_secs_f64()),
        ("killed_seconds", after_kill.as_secs_f64()),
    ])
}

/// Waits until the leases are spread over all nodes. Returns their number, and the difference
/// between the nodes' numbers.
async fn spread(connection: &mut PgConnection) -> anyhow::Result<(i64, i64)> {
    loop_until(connection, |counts| {
        let (least, most) = (counts.iter().min()?, counts.iter().max()?);
        let is_spread = counts.len() == NODES && most - least <= 1;
        is_spread.then(|| (counts.iter().sum(), most - least))
    })
    .await
}

/// The number of leases of each node.
async fn leases(connection: &mut PgConnection) -> anyhow::Result<Vec<i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(LEASES).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(_, count)| count).collect())
}

async fn loop_until<T>(
    connection: &mut PgConnection,
    is_met: impl Fn(&[i64]) -> Option<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let counts = leases(connection).await?;
        if let Some(met) = is_met(&counts) {
            return Ok(met);
        }
        ensure!(start.elapsed() < PATIENCE, "the leases stay at {counts:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
