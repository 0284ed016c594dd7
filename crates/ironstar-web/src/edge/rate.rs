//! Limits on the rate at which a client sends commands and begins sessions.

use std::fmt::{self, Debug};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// A client may send as many commands at once as it may send in this number of seconds.
const BURST: u32 = 5;

/// The number of remembered clients. Beyond it, the client that has been silent for longest is
/// forgotten, and may send a whole burst again.
///
/// An attacker with so many addresses has as many bursts anyway: a limit by address cannot stop
/// that attacker. But the limit must not use unbounded memory, nor refuse other clients.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");

/// The number of events in the log that count as one further command, if a request has to read
/// them. Reading them takes about as long as a command.
const EVENTS_A_COMMAND: u64 = 500;

/// The number of sessions that a client may begin in a minute, and at once. It is enough for a
/// school behind one address. One client cannot fill the store, because a session whose cookie
/// never comes back soon expires.
const SESSIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
const SESSIONS_AT_ONCE: NonZeroU32 = NonZeroU32::new(120).expect("not zero");

/// The limit on the commands of each client.
pub(crate) struct CommandRate<C: Clock = MonotonicClock>(PerClient<C>);

/// Counts the further cost of a request that turns out to be more than one command.
#[derive(Clone)]
pub(crate) struct Charge {
    rate: Arc<CommandRate>,
    client: Client,
}

/// The limit on the sessions that each client begins.
pub(crate) struct NewSessionRate<C: Clock = MonotonicClock>(PerClient<C>);

/// A rate limit for each client.
struct PerClient<C: Clock> {
    /// The limiter, and the size of a burst; `None` if there is no limit.
    limiter: Option<(Limiter<C>, NonZeroU32)>,
}

type Limiter<C> = RateLimiter<Client, Recent, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl<C: Clock> PerClient<C> {
    fn new(most: NonZeroUsize, quota: Option<Quota>, clock: C) -> Self {
        let limiter = quota.map(|quota| {
            let limiter = RateLimiter::new(quota, Recent::new(most), clock);
            (limiter, quota.burst_size())
        });
        Self { limiter }
    }

    /// Counts `weight` for a client. If the client has used up its rate, returns the time to
    /// wait instead.
    fn count(&self, client: Client, weight: NonZeroU32) -> Result<(), Duration> {
        let Some((limiter, burst)) = &self.limiter else {
            return Ok(());
        };
        // A heavier request counts as a whole burst, or it could never pass.
        match limiter.check_key_n(&client, weight.min(*burst)) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(limiter.clock().now())),
        }
    }
}

impl<C: Clock> CommandRate<C> {
    /// Allows `per_second` commands a second; 0 means no limit.
    pub(crate) fn new(per_second: u32, clock: C) -> Self {
        Self::remembering(REMEMBERED, per_second, clock)
    }

    fn remembering(most: NonZeroUsize, per_second: u32, clock: C) -> Self {
        let quota = NonZeroU32::new(per_second).map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::new(BURST).expect("not zero"));
            Quota::per_second(rate).allow_burst(burst)
        });
        Self(PerClient::new(most, quota, clock))
    }

    /// Counts a command as `weight` commands. If the client has used up its rate, returns the
    /// time to wait instead.
    fn count(&self, client: Client, weight: NonZeroU32) -> Result<(), Duration> {
        self.0.count(client, weight)
    }
}

impl<C: Clock> NewSessionRate<C> {
    /// A limit on sessions, or none.
    pub(crate) fn new(is_limited: bool, clock: C) -> Self {
        let quota = Quota::per_minute(SESSIONS_PER_MINUTE).allow_burst(SESSIONS_AT_ONCE);
        Self(PerClient::new(
            REMEMBERED,
            is_limited.then_some(quota),
            clock,
        ))
    }

    /// Counts a session. If the client has begun too many, returns the time to wait instead.
    pub(crate) fn count(&self, client: Client) -> Result<(), Duration> {
        self.0.count(client, NonZeroU32::MIN)
    }
}

impl<C: Clock> Debug for CommandRate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandRate").finish_non_exhaustive()
    }
}

impl<C: Clock> Debug for NewSessionRate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSessionRate").finish_non_exhaustive()
    }
}

impl Charge {
    /// Counts so many commands of a client.
    pub(crate) fn commands(
        rate: &Arc<CommandRate>,
        client: Client,
        commands: NonZeroU32,
    ) -> Result<Self, Problem> {
        rate.count(client, commands)
            .map_err(Problem::rate_limited)?;
        Ok(Self {
            rate: Arc::clone(rate),
            client,
        })
    }

    /// Counts the reading of this number of events in the log, in addition to the command
    /// that was counted already.
    pub(crate) fn catch_up(&self, events: u64) -> Result<(), Problem> {
        self.count(events).map_err(Problem::rate_limited)
    }

    /// Counts the reading of this number of events, and waits until the rate allows it. It
    /// waits for twice the necessary time, so that the client can send as much beside it.
    pub(crate) async fn catch_up_in_time(&self, events: u64) {
        while let Err(wait) = self.count(events) {
            sleep(wait * 2).await;
        }
    }

    /// Counts events, or returns the time to wait.
    fn count(&self, events: u64) -> Result<(), Duration> {
        let weight = u32::try_from(events / EVENTS_A_COMMAND).unwrap_or(u32::MAX);
        let weight = NonZeroU32::new(weight);
        weight.map_or(Ok(()), |weight| self.rate.count(self.client, weight))
    }

    /// The client that is charged.
    pub(crate) fn client(&self) -> Client {
        self.client
    }
}

impl Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").finish_non_exhaustive()
    }
}

/// The clients that have sent commands recently, with governor's state of each.
struct Recent(Mutex<LruCache<Client, Nanos>>);

impl Recent {
    fn new(most: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl StateStore for Recent {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, client: &Client, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut recent = self.0.lock();
        let (outcome, state) = measure(recent.get(client).copied())?;
        recent.put(*client, state);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
