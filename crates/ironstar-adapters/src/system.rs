//! The machine's clock and randomness.

mod steady;

use ironstar_ports::{Clock, IdSource};
use time::OffsetDateTime;
use uuid::Uuid;

pub use steady::SteadyClock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Ids from the machine's clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIdSource;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

impl IdSource for SystemIdSource {
    #[expect(clippy::disallowed_methods, reason = "this is the id source")]
    fn next_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn next_secret(&self) -> [u8; 24] {
        let mut secret = [0; 24];
        getrandom::fill(&mut secret).expect("the operating system has randomness");
        secret
    }
}
