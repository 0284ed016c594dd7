//! Time and randomness, as ports: so that tests decide what they are.

use std::fmt::Debug;

use time::OffsetDateTime;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// The present, in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// Makes ids.
pub trait IdSource: Debug + Send + Sync {
    /// An id that nobody else has: a UUID of version 7 (RFC 9562, section 5.7).
    fn next_id(&self) -> Uuid;

    /// What nobody can guess: 192 bits of the operating system's randomness.
    fn next_secret(&self) -> [u8; 24];
}
