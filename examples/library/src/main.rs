//! The server of the library, and the operator's options for it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ironstar_app::{CommandHandler, Features, Projections};
use ironstar_server::Application;
use ironstar_web::{Feature, SiteName};
use library::{loans, page, recall};

#[tokio::main]
async fn main() -> ExitCode {
    ironstar_server::run::<Library>().await
}

/// The application.
#[derive(Args, Debug)]
struct Library {
    /// Number of days after which a book that is out is called back
    #[arg(
        long,
        env = "LIBRARY_LOAN_DAYS",
        default_value_t = 28,
        value_name = "DAYS"
    )]
    loan_days: u32,
}

impl Application for Library {
    const NAME: &'static str = "library";
    const SITE: SiteName = SiteName::new("library");
    const ABOUT: &'static str = "Serves a lending library, with its history in one SQLite file";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DATABASE_URL: &'static str = "sqlite:library.db";
    const FEATURES: Features = Features::new(&[loans::FEATURE]);

    fn site_features(&self) -> Vec<Feature> {
        vec![page::feature()]
    }

    fn manage_processes(&self, commands: &CommandHandler, projections: &Projections) {
        let patience = Duration::from_secs(u64::from(self.loan_days) * 24 * 60 * 60);
        recall::recall_loans(projections, commands, patience);
    }
}
