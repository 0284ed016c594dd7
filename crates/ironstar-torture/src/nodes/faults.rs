//! Faults of the database: sessions that are cut off, locks that are held, and transactions that
//! roll back.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

/// Cuts off one session of a node.
pub(crate) const TERMINATE: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'ironstar'
        ORDER BY random() LIMIT 1
    ) AS victim";

/// An append of another program, whose transaction does not commit.
const APPEND: &str = "
    SELECT append_batch(0, NULL, ARRAY['Test'], ARRAY['rolled-back'], ARRAY[0::bigint],
                        ARRAY['Test'], ARRAY['rolled-back'], ARRAY[0::bigint], ARRAY['happened'],
                        ARRAY[1], ARRAY['{}'], ARRAY['{}'], '{}', '{}', '{}', '{}', true)";

/// Writes the log anew, and locks it meanwhile.
const VACUUM: &str = "VACUUM FULL events";

/// Injects faults for a while. Returns their number.
pub(super) async fn inject(
    url: &str,
    time: Duration,
    random: &mut fastrand::Rng,
) -> anyhow::Result<u64> {
    let options: PgConnectOptions = url.parse()?;
    let mut operator = options.application_name("operator").connect().await?;
    let end = Instant::now() + time;
    let mut faults = 0;
    while Instant::now() < end {
        sleep(Duration::from_millis(random.u64(1..40))).await;
        match random.u8(0..41) {
            0..10 => {
                sqlx::raw_sql(TERMINATE).execute(&mut operator).await?;
            }
            10..20 => hold(&mut operator, "SELECT lock_log()", random).await?,
            20..30 => hold(&mut operator, "LOCK TABLE commands", random).await?,
            30..40 => hold(&mut operator, APPEND, random).await?,
            // Seldom, because it takes longer.
            _ => {
                sqlx::raw_sql(VACUUM).execute(&mut operator).await?;
            }
        }
        faults += 1;
    }
    operator.close().await?;
    Ok(faults)
}

/// Executes a statement, waits for a moment, and rolls back.
async fn hold(
    operator: &mut PgConnection,
    statement: &'static str,
    random: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let mut transaction = operator.begin().await?;
    sqlx::raw_sql(statement).execute(&mut *transaction).await?;
    sleep(Duration::from_millis(random.u64(0..30))).await;
    transaction.rollback().await?;
    Ok(())
}
