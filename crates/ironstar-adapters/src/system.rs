//! The clock and the randomness of the machine.

mod steady;

use ironstar_ports::{Clock, IdSource};
use time::OffsetDateTime;
use uuid::Uuid;

pub use steady::SteadyClock;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A source of ids, from the clock and the randomness of the machine.
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
