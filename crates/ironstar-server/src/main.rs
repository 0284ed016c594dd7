//! The todo application, and the operator's options for it.

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ironstar_app::todo::ArchiveDoneLists;
use ironstar_app::{CommandHandler, Features, ListService, Projections};
use ironstar_server::Application;
use ironstar_web::features::{Home, features};
use ironstar_web::{Feature, SiteName};
use mimalloc::MiMalloc;

/// Threads that allocate do not wait for each other (docs/adr/0016).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    ironstar_server::run::<Todos>().await
}

/// The todo application.
#[derive(Args, Clone, Debug)]
struct Todos {
    /// Time after which a list whose todos are all completed is archived automatically: a time
    /// such as '30days' or '12h' ('m' is minutes, 'M' months), or 'never'. It is counted from
    /// the last event of the list and its todos, even if that is long ago
    #[arg(
        long,
        env = "IRONSTAR_ARCHIVE_DONE_LISTS_AFTER",
        default_value = "30days",
        value_name = "TIME"
    )]
    archive_done_lists_after: Patience,

    /// The start page: the list that all visitors share, or the visitor's own list
    #[arg(
        long,
        env = "IRONSTAR_HOME",
        default_value = "shared",
        value_name = "LIST"
    )]
    home: HomeList,
}

/// The list on the start page.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum HomeList {
    /// The list that all visitors share.
    Shared,
    /// The visitor's own list.
    Own,
}

/// The time to wait before a list is archived; `None` means never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Patience(Option<Duration>);

/// A text is not a [`Patience`].
#[derive(Debug)]
struct PatienceError(humantime::DurationError);

impl Application for Todos {
    const NAME: &'static str = "ironstar-server";
    const SITE: SiteName = SiteName::new("ironstar");
    const ABOUT: &'static str = "Serves a live todo list, with its history in one SQLite file";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DATABASE_URL: &'static str = "sqlite:ironstar.db";
    const FEATURES: Features = ironstar_app::features::FEATURES;

    fn site_features(&self) -> Vec<Feature> {
        features(match self.home {
            HomeList::Shared => Home::Shared,
            HomeList::Own => Home::Own,
        })
    }

    fn manage_processes(&self, commands: &CommandHandler, projections: &Projections) {
        if let Some(patience) = self.archive_done_lists_after.0 {
            let lists = ListService::new(commands.clone(), projections.model());
            projections.manage::<ArchiveDoneLists, _>(commands.clone(), lists, patience);
        }
    }
}

impl FromStr for Patience {
    type Err = PatienceError;

    fn from_str(time: &str) -> Result<Self, PatienceError> {
        if time == "never" {
            return Ok(Self(None));
        }
        let time = humantime::parse_duration(time).map_err(PatienceError)?;
        Ok(Self(Some(time)))
    }
}

impl Display for PatienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; give a time such as '30days' or '12h', or 'never'",
            self.0
        )
    }
}

impl std::error::Error for PatienceError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Patience;

    #[test]
    fn patience_is_a_time_or_never() {
        let days = |days: u64| Patience(Some(Duration::from_secs(days * 24 * 60 * 60)));
        for (time, patience) in [
            ("30days", days(30)),
            ("2d", days(2)),
            ("never", Patience(None)),
        ] {
            assert_eq!(time.parse::<Patience>().expect("a time"), patience);
        }
        for malformed in ["", "30", "soon", "-1d"] {
            malformed.parse::<Patience>().expect_err(malformed);
        }
    }
}
