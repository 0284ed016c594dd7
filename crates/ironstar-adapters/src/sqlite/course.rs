//! The stored state of the clock, in one row: see [`SteadyClock`].

use std::sync::Arc;

use ironstar_ports::Clock;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::system::SteadyClock;

const LOAD: &str = "
    SELECT (SELECT course FROM clock WHERE id = 1),
           (SELECT created_at FROM events ORDER BY id DESC LIMIT 1)";

const SAVE: &str = "
    INSERT INTO clock (id, course) VALUES (1, ?1)
    ON CONFLICT (id) DO UPDATE SET course = excluded.course";

/// The known times from before this server.
#[derive(Debug, Default)]
pub(super) struct Known {
    course: Option<String>,
    newest_event: Option<OffsetDateTime>,
}

impl Known {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let (course, newest): (Option<String>, Option<String>) =
            sqlx::query_as(LOAD).fetch_one(connection).await?;
        // A time that cannot be read is reported when the event is read.
        let newest_event = newest.and_then(|time| OffsetDateTime::parse(&time, &Rfc3339).ok());
        Ok(Self {
            course,
            newest_event,
        })
    }

    /// Creates the clock, which continues from the known times.
    pub(super) fn clock(self, clock: Arc<dyn Clock>) -> SteadyClock {
        if let Some(warning) = self.warning(clock.now()) {
            tracing::warn!("{warning}");
        }
        match (self.course, self.newest_event) {
            (Some(course), _) => SteadyClock::resume(clock, &course),
            (None, Some(newest)) => SteadyClock::after(clock, newest),
            (None, None) => SteadyClock::new(clock),
        }
    }

    /// The warning to the operator if the clock is behind the log.
    fn warning(&self, now: OffsetDateTime) -> Option<String> {
        let newest = self.newest_event.filter(|newest| *newest > now)?;
        let [now, newest] = [now, newest].map(|time| time.truncate_to_second());
        Some(format!(
            "the clock of this machine shows {now}, but the newest event of the log is of \
             {newest}: new events will seem to be older than that event. No data is lost; set \
             the clock, for instance by NTP. You need not stop the server"
        ))
    }
}

pub(super) async fn save(
    connection: &mut SqliteConnection,
    course: String,
) -> Result<(), sqlx::Error> {
    sqlx::query(SAVE).bind(course).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::Known;

    #[test]
    fn operator_is_warned_of_a_clock_behind_the_log() {
        let newest = datetime!(2026-11-29 12:00 UTC);
        let known = |newest_event| Known {
            course: None,
            newest_event,
        };
        let warning = known(Some(newest)).warning(datetime!(1970-01-01 0:01 UTC));
        let warning = warning.expect("a warning");
        assert!(warning.contains("1970-01-01 0:01:00"), "{warning}");
        assert!(warning.contains("2026-11-29 12:00:00"), "{warning}");
        assert!(warning.contains("set the clock"), "{warning}");
        assert_eq!(known(Some(newest)).warning(newest), None);
        assert_eq!(known(None).warning(newest), None);
    }
}
