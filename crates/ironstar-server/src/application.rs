//! An application, as its server runs it.

use std::fmt::Debug;

use clap::Args;
use ironstar_app::{CommandHandler, Features, Projections};
use ironstar_web::{Feature, SiteName};

/// An application, as its server runs it. Its fields are the operator's own options for it: the
/// command line and `--help` show them after those that every server has.
pub trait Application: Args + Debug {
    /// The name of the program.
    const NAME: &'static str;

    /// The name of the site. The ready line and messages of errors begin with it, too.
    const SITE: SiteName;

    /// The first sentence of `--help`, without a full stop at its end.
    const ABOUT: &'static str;

    /// The version of the program, as `env!("CARGO_PKG_VERSION")` in the application tells it.
    const VERSION: &'static str;

    /// The database that the server opens unless the operator names another.
    const DATABASE_URL: &'static str;

    /// All features, as they register with the application layer.
    const FEATURES: Features;

    /// All features, as they register with the site. The server asks again when it starts again
    /// on a restored backup.
    fn site_features(&self) -> Vec<Feature>;

    /// Starts the process managers of the features, as far as the operator wants them. The server
    /// calls it again when it starts again on a restored backup.
    fn manage_processes(&self, _commands: &CommandHandler, _projections: &Projections) {}
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An application without features.
    #[derive(Args, Debug)]
    pub(crate) struct Bare {}

    impl Application for Bare {
        const NAME: &'static str = "bare";
        const SITE: SiteName = SiteName::new("bare");
        const ABOUT: &'static str = "Serves nothing";
        const VERSION: &'static str = "0";
        const DATABASE_URL: &'static str = "sqlite:bare.db";
        const FEATURES: Features = Features::new(&[]);

        fn site_features(&self) -> Vec<Feature> {
            Vec::new()
        }
    }
}
