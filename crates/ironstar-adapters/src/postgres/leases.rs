//! Nodes and leases, one row for each.

use std::time::Duration;

use futures::FutureExt;
use ironstar_ports::{Lease, NodeAbout, NodeId, NodeReport, NodeStatus, Position, StoreError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::postgres::types::PgInterval;
use time::OffsetDateTime;

use super::pool::{Pool, PoolFailure};
use super::transaction::in_task;
use crate::leases::{Assigned, Member, assign};
use crate::log::integer;

const REPORT: &str = "SELECT is_up_to_date, held::text FROM report_node($1, $2, $3, $4)";

/// Keeps other assignments away. The commit waits for the disk: after a crash, a lost epoch could
/// be given to a second node.
const LOCK: &str = "
    SET LOCAL synchronous_commit = on;
    LOCK TABLE leases IN SHARE ROW EXCLUSIVE MODE";

const UPSERT_NODE: &str = "
    INSERT INTO nodes (id, version, host, address, wanted, revision, position)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET wanted = excluded.wanted, revision = excluded.revision,
        position = excluded.position, seen_at = excluded.seen_at";

/// Forgets nodes that stopped without a word. Until then, operators see them.
const FORGET: &str = "DELETE FROM nodes WHERE seen_at < clock_timestamp() - interval '1 minute'";

const INSERT_LEASES: &str = "
    INSERT INTO leases (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING";

/// The running nodes, as `running_nodes` has them, all as of the same moment. A node that was seen in
/// the future was seen before the clock was set back.
const SELECT_MEMBERS: &str = "
    SELECT id, revision, wanted FROM nodes
    WHERE seen_at > clock_timestamp() - $1 AND seen_at < clock_timestamp() + $1 ORDER BY id";

const SELECT_LEASES: &str = "SELECT name, node FROM leases ORDER BY name";

const MOVE: &str = "
    UPDATE leases SET node = moved.node, epoch = epoch + 1, since = clock_timestamp()
    FROM unnest($1::text[], $2::text[]) AS moved (name, node)
    WHERE leases.name = moved.name";

const NOTE_MEMBERS: &str = "
    INSERT INTO assignment (id, members) VALUES (1, $1)
    ON CONFLICT (id) DO UPDATE SET members = excluded.members";

const SELECT_HELD: &str = "SELECT name, epoch FROM leases WHERE node = $1 ORDER BY name";

const LEAVE: &str = "DELETE FROM nodes WHERE id = $1";

const SELECT_NODES: &str = "
    SELECT id, version, host, address, position,
        floor(extract(epoch FROM started_at))::bigint,
        (extract(epoch FROM clock_timestamp() - seen_at) * 1000)::bigint,
        ARRAY(SELECT name FROM leases WHERE node = nodes.id ORDER BY name)
    FROM nodes WHERE seen_at > clock_timestamp() - interval '1 minute'
    ORDER BY started_at, id";

/// The columns of a node, in order.
type NodeRow = (String, String, String, String, i64, i64, i64, Vec<String>);

/// Reasons why leases cannot be read or assigned.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pool(#[from] PoolFailure),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the start time {0} of a node is invalid")]
    Start(i64),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Pool(error.into())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure)
    }
}

/// Reports that a node runs, and assigns the leases if that is due.
pub(super) async fn report(
    pool: &Pool,
    report: &NodeReport,
    term: Duration,
) -> Result<Vec<Lease>, Failure> {
    let query = sqlx::query_as(REPORT)
        .bind(report.id.as_str())
        .bind(revision(report))
        .bind(integer(report.position.get()))
        .bind(interval(term));
    let row: Option<(bool, Option<String>)> = pool.row(query).await?;
    let (is_up_to_date, held) = row.unwrap_or_default();
    if !is_up_to_date {
        let report = report.clone();
        return in_task(pool, move |connection| {
            async move { assign_in(connection, &report, term).await }.boxed()
        })
        .await;
    }
    let held: Vec<(String, u64)> = match held {
        Some(held) => serde_json::from_str(&held)?,
        None => Vec::new(),
    };
    Ok(held.into_iter().map(lease).collect())
}

/// Assigns the leases to the running nodes.
async fn assign_in(
    connection: &mut PgConnection,
    report: &NodeReport,
    term: Duration,
) -> Result<Vec<Lease>, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
    let NodeAbout {
        version,
        host,
        address,
    } = &report.about;
    sqlx::query(UPSERT_NODE)
        .bind(report.id.as_str())
        .bind(version)
        .bind(host)
        .bind(address)
        .bind(&report.wanted)
        .bind(revision(report))
        .bind(integer(report.position.get()))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(FORGET).execute(&mut *transaction).await?;
    sqlx::query(INSERT_LEASES)
        .bind(&report.wanted)
        .execute(&mut *transaction)
        .await?;
    let members: Vec<(String, i32, Vec<String>)> = sqlx::query_as(SELECT_MEMBERS)
        .bind(interval(term))
        .fetch_all(&mut *transaction)
        .await?;
    let leases: Vec<(String, Option<String>)> = sqlx::query_as(SELECT_LEASES)
        .fetch_all(&mut *transaction)
        .await?;
    let (names, holders) = moves(&members, leases);
    if !names.is_empty() {
        sqlx::query(MOVE)
            .bind(&names)
            .bind(&holders)
            .execute(&mut *transaction)
            .await?;
    }
    let members = members
        .iter()
        .map(|(id, revision, _)| format!("{id}:{revision}"));
    sqlx::query(NOTE_MEMBERS)
        .bind(members.collect::<Vec<_>>().join(" "))
        .execute(&mut *transaction)
        .await?;
    let held: Vec<(String, i64)> = sqlx::query_as(SELECT_HELD)
        .bind(report.id.as_str())
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let held = held.into_iter();
    Ok(held
        .map(|(name, epoch)| lease((name, epoch.unsigned_abs())))
        .collect())
}

/// The names of the leases that get another holder, and these holders.
fn moves(
    members: &[(String, i32, Vec<String>)],
    leases: Vec<(String, Option<String>)>,
) -> (Vec<String>, Vec<Option<String>>) {
    let members: Vec<Member> = members
        .iter()
        .map(|(id, _, wanted)| Member {
            id: NodeId::new(id),
            wanted: wanted.iter().cloned().collect(),
        })
        .collect();
    let leases: Vec<Assigned> = leases
        .into_iter()
        .map(|(name, holder)| Assigned {
            name,
            holder: holder.map(NodeId::new),
        })
        .collect();
    let moves = assign(&members, &leases).into_iter();
    moves
        .map(|(lease, holder)| {
            let holder = holder.map(|holder| members[holder].id.to_string());
            (leases[lease].name.clone(), holder)
        })
        .unzip()
}

/// Removes a node that has stopped.
pub(super) async fn leave(pool: &Pool, node: &NodeId) -> Result<(), Failure> {
    pool.execute(sqlx::query(LEAVE).bind(node.as_str())).await?;
    Ok(())
}

/// Returns all nodes.
pub(super) async fn nodes(pool: &Pool, term: Duration) -> Result<Vec<NodeStatus>, Failure> {
    let rows: Vec<NodeRow> = pool.rows(sqlx::query_as(SELECT_NODES)).await?;
    rows.into_iter().map(|row| status(row, term)).collect()
}

fn status(row: NodeRow, term: Duration) -> Result<NodeStatus, Failure> {
    let (id, version, host, address, position, started_at, silent_for, leases) = row;
    let silent_for = Duration::from_millis(u64::try_from(silent_for).unwrap_or_default());
    Ok(NodeStatus {
        id: NodeId::new(id),
        about: NodeAbout {
            version,
            host,
            address,
        },
        started_at: OffsetDateTime::from_unix_timestamp(started_at)
            .map_err(|_| Failure::Start(started_at))?,
        silent_for,
        is_running: silent_for < term,
        position: Position::new(position.unsigned_abs()),
        leases,
    })
}

fn lease((name, epoch): (String, u64)) -> Lease {
    Lease { name, epoch }
}

fn revision(report: &NodeReport) -> i32 {
    i32::try_from(report.revision).unwrap_or(i32::MAX)
}

fn interval(time: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(time.as_micros()).unwrap_or(i64::MAX),
    }
}
