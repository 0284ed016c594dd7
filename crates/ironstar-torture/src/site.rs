//! The application that the checks serve: notes and remarks.

use std::num::ParseIntError;
use std::time::Duration;

use clap::Args;
use ironstar_app::{CommandHandler, Features, Projections};
use ironstar_fixtures::closing::{Closer, Closing};
use ironstar_fixtures::{closing, notes, remarks, site};
use ironstar_server::Application;
use ironstar_web::{Feature, SiteName};

/// Notes and remarks, and the operator's options for them.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct NotesSite {
    /// Number of seconds after which a remark that no command changes is closed
    #[arg(
        long,
        env = "NOTES_CLOSE_REMARKS_AFTER",
        default_value = "2592000",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    close_remarks_after: Duration,
}

impl Application for NotesSite {
    const NAME: &'static str = "notes";
    const SITE: SiteName = SiteName::new("notes");
    const ABOUT: &'static str = "Serves notes with remarks, for tests of the engine";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DATABASE_URL: &'static str = "sqlite:ironstar.db";
    const FEATURES: Features = Features::new(&[notes::FEATURE, remarks::FEATURE, closing::FEATURE]);

    fn site_features(&self) -> Vec<Feature> {
        site::features()
    }

    fn manage_processes(&self, commands: &CommandHandler, projections: &Projections) {
        let (closer, patience) = (Closer(commands.clone()), self.close_remarks_after);
        projections.manage::<Closing, _>(commands.clone(), closer, patience);
    }
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}
