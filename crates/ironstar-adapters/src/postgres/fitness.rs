//! Examines each new connection: its server must be PostgreSQL, and must keep acknowledged events.
//!
//! Every connection is examined, not only the first. A server may be configured anew, or another
//! one may take its address, while this process runs.

use sqlx::postgres::PgConnection;

/// The oldest supported version of PostgreSQL, as `server_version_num`.
const OLDEST: i32 = 130_000;

/// The name of a setting that this process chooses at the start of each session. A pooler that
/// shares sessions drops it.
pub(super) const SESSION_SETTING: &str = "ironstar.session";

/// Reads the [`Settings`] of a session.
const EXAMINE: &str = "
    SELECT version(), current_setting('server_version_num')::integer AS number,
           current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS is_replica,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('synchronous_standby_names') <> '' AS has_standby,
           current_setting('fsync')::boolean AS fsync,
           current_setting('full_page_writes')::boolean AS full_page_writes,
           coalesce(current_setting('ironstar.session', true), '') AS session,
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS time";

/// Reasons why a server must not hold the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// The server is not PostgreSQL itself.
    #[error(
        "the server is {version}, not PostgreSQL. Servers that only speak its protocol may \
         order commits differently; use PostgreSQL"
    )]
    Other {
        /// The server's own description.
        version: String,
    },
    /// The server is too old.
    #[error("the server is too old: {version}. Use PostgreSQL 13 or later")]
    TooOld {
        /// The server's own description.
        version: String,
    },
    /// The database has another encoding than UTF-8.
    #[error("the database has the encoding {encoding}. Create it with ENCODING 'UTF8'")]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// The server is a replica.
    #[error("the server is a replica, which takes no events. Use the address of the primary")]
    Replica,
    /// The server acknowledges a commit before it is on disk.
    #[error(
        "synchronous_commit is {value}, so an acknowledged event could be lost. Set it to 'on' for \
         this user and database, for example with ALTER ROLE … SET synchronous_commit = on"
    )]
    SynchronousCommit {
        /// The value of the setting.
        value: String,
    },
    /// The server does not write to the disk itself.
    #[error(
        "{setting} is off, so a power cut could destroy the database. Set {setting} = on in \
         postgresql.conf, and reload the server"
    )]
    Unsafe {
        /// The name of the setting.
        setting: &'static str,
    },
    /// A pooler is between this process and the server.
    #[error(
        "a connection pooler is between ironstar and PostgreSQL, and drops the settings of \
         sessions. Use the address of PostgreSQL itself: ironstar has its own pool"
    )]
    Pooler,
}

/// The settings of a session.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Settings {
    version: String,
    number: i32,
    encoding: String,
    is_replica: bool,
    synchronous_commit: String,
    has_standby: bool,
    fsync: bool,
    full_page_writes: bool,
    session: String,
    /// The time of the server in microseconds since 1970.
    time: i64,
}

/// Examines a connection. Returns the time of the server in microseconds since 1970. `session` is
/// the value that this process chose for [`SESSION_SETTING`]. `is_durable` is false for
/// data that can be made again: then `synchronous_commit` may be off.
pub(super) async fn examine(
    connection: &mut PgConnection,
    session: &str,
    is_durable: bool,
) -> Result<Result<i64, Unfit>, sqlx::Error> {
    let settings: Settings = sqlx::query_as(EXAMINE).fetch_one(connection).await?;
    let time = settings.time;
    Ok(judge(settings, session, is_durable).map(|()| time))
}

fn judge(settings: Settings, session: &str, is_durable: bool) -> Result<(), Unfit> {
    let Settings {
        version, encoding, ..
    } = settings;
    if !version.starts_with("PostgreSQL ") || version.contains("-YB-") {
        return Err(Unfit::Other { version });
    }
    if settings.number < OLDEST {
        return Err(Unfit::TooOld { version });
    }
    if settings.session != session {
        return Err(Unfit::Pooler);
    }
    if encoding != "UTF8" {
        return Err(Unfit::Encoding { encoding });
    }
    if settings.is_replica {
        return Err(Unfit::Replica);
    }
    for (setting, is_on) in [
        ("fsync", settings.fsync),
        ("full_page_writes", settings.full_page_writes),
    ] {
        if !is_on {
            return Err(Unfit::Unsafe { setting });
        }
    }
    let value = settings.synchronous_commit;
    // With a standby, `local` does not wait for it.
    let is_early = value == "off" || value == "local" && settings.has_standby;
    if is_durable && is_early {
        return Err(Unfit::SynchronousCommit { value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Settings, Unfit, judge};

    fn good() -> Settings {
        Settings {
            version: "PostgreSQL 15.18 on x86_64".to_owned(),
            number: 150_018,
            encoding: "UTF8".to_owned(),
            is_replica: false,
            synchronous_commit: "on".to_owned(),
            has_standby: false,
            fsync: true,
            full_page_writes: true,
            session: "mine".to_owned(),
            time: 0,
        }
    }

    /// Judges a good server with one change.
    fn judged(change: impl FnOnce(&mut Settings)) -> Result<(), Unfit> {
        let mut settings = good();
        change(&mut settings);
        judge(settings, "mine", true)
    }

    #[test]
    fn server_with_safe_settings_is_fit() {
        assert_eq!(judged(|_| ()), Ok(()));
        for (commit, has_standby) in [
            ("remote_apply", true),
            ("remote_write", true),
            ("local", false),
        ] {
            let judged = judged(|settings| {
                settings.synchronous_commit = commit.to_owned();
                settings.has_standby = has_standby;
            });
            assert_eq!(judged, Ok(()), "{commit}");
        }
        let early = Settings {
            synchronous_commit: "off".to_owned(),
            ..good()
        };
        assert_eq!(judge(early, "mine", false), Ok(()));
    }

    #[test]
    fn server_that_is_not_postgresql_or_too_old_is_unfit() {
        for version in [
            "CockroachDB CCL v24.1.0",
            "PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64",
        ] {
            let version = version.to_owned();
            let judged = judged(|settings| settings.version.clone_from(&version));
            assert_eq!(judged, Err(Unfit::Other { version }));
        }
        let version = "PostgreSQL 12.22 on x86_64".to_owned();
        let judged = judged(|settings| {
            settings.version.clone_from(&version);
            settings.number = 120_022;
        });
        assert_eq!(judged, Err(Unfit::TooOld { version }));
    }

    #[test]
    fn server_with_unsafe_settings_is_unfit() {
        let unsafe_ = |setting| Err(Unfit::Unsafe { setting });
        assert_eq!(judged(|it| it.fsync = false), unsafe_("fsync"));
        assert_eq!(
            judged(|it| it.full_page_writes = false),
            unsafe_("full_page_writes")
        );
        assert_eq!(judged(|it| it.is_replica = true), Err(Unfit::Replica));
        assert_eq!(judged(|it| it.session.clear()), Err(Unfit::Pooler));
        let encoding = "SQL_ASCII".to_owned();
        let judged_ = judged(|it| it.encoding.clone_from(&encoding));
        assert_eq!(judged_, Err(Unfit::Encoding { encoding }));
        for (commit, has_standby) in [("off", false), ("local", true)] {
            let value = commit.to_owned();
            let judged = judged(|it| {
                it.synchronous_commit.clone_from(&value);
                it.has_standby = has_standby;
            });
            assert_eq!(judged, Err(Unfit::SynchronousCommit { value }));
        }
    }
}
