//! A limit on the amount of a resource that each client, and all clients together, may use at
//! the same time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::edge::client::Client;
use parking_lot::Mutex;

/// The limits of one resource, and its current use.
#[derive(Debug)]
pub struct Allowance {
    each: u64,
    all: u64,
    /// The amount that a client always gets, even if the others have used up `all`.
    spare: u64,
    sums: Mutex<Sums>,
}

/// The amounts in use at this moment.
#[derive(Debug, Default)]
struct Sums {
    all: u64,
    /// The amount of each client. A client that uses nothing has no entry.
    each: HashMap<Client, u64>,
}

/// An amount that a client uses until this is dropped.
#[derive(Debug)]
pub struct Taken {
    from: Arc<Allowance>,
    client: Client,
    amount: u64,
}

/// The reason why an amount is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The client would exceed the limit of a client.
    Client,
    /// All clients together would exceed the limit of the server.
    Server,
}

impl Allowance {
    /// An allowance of `each` for each client, independent of the other clients.
    #[must_use]
    pub fn new(each: u64) -> Self {
        Self::shared(each, u64::MAX, 0)
    }

    /// An allowance of `each` for each client, and of `all` for all clients together. A few
    /// clients could use up `all`, so each client gets the small amount `spare` even then.
    #[must_use]
    pub fn shared(each: u64, all: u64, spare: u64) -> Self {
        Self {
            each,
            all,
            spare,
            sums: Mutex::default(),
        }
    }

    /// Takes an amount for a client, until the result is dropped.
    ///
    /// # Errors
    ///
    /// If the amount exceeds the limit of the client or of the server.
    pub fn take(self: &Arc<Self>, client: Client, amount: u64) -> Result<Taken, Refused> {
        self.add(client, amount)?;
        Ok(Taken {
            from: Arc::clone(self),
            client,
            amount,
        })
    }

    fn add(&self, client: Client, amount: u64) -> Result<(), Refused> {
        let mut sums = self.sums.lock();
        let before = sums.each.get(&client).copied().unwrap_or_default();
        let each = before.saturating_add(amount);
        let all = sums.all.saturating_add(amount);
        if each > self.each {
            return Err(Refused::Client);
        }
        if all > self.all && each > self.spare {
            return Err(Refused::Server);
        }
        sums.set(client, each, all);
        Ok(())
    }

    /// The amount that all clients use together.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        let sums = self.sums.lock();
        assert_eq!(sums.each.values().sum::<u64>(), sums.all);
        assert!(sums.each.values().all(|sum| *sum > 0));
        sums.all
    }
}

impl Sums {
    fn set(&mut self, client: Client, each: u64, all: u64) {
        self.all = all;
        if each == 0 {
            self.each.remove(&client);
        } else {
            self.each.insert(client, each);
        }
    }
}

impl Taken {
    /// Takes a further amount.
    ///
    /// # Errors
    ///
    /// As [`Allowance::take`]. After an error, the earlier amount stays taken.
    pub fn grow(&mut self, amount: u64) -> Result<(), Refused> {
        // An amount of zero is never refused, even if other clients have used up everything.
        if amount > 0 {
            self.from.add(self.client, amount)?;
            self.amount += amount;
        }
        Ok(())
    }

    /// Takes a further amount, even beyond the limits.
    pub(crate) fn grow_anyway(&mut self, amount: u64) {
        let mut sums = self.from.sums.lock();
        let before = sums.each.get(&self.client).copied().unwrap_or_default();
        let all = sums.all.saturating_add(amount);
        sums.set(self.client, before.saturating_add(amount), all);
        self.amount += amount;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut sums = self.from.sums.lock();
        let before = sums.each.get(&self.client).copied().unwrap_or_default();
        let all = sums.all.saturating_sub(self.amount);
        sums.set(self.client, before.saturating_sub(self.amount), all);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Allowance, Refused};
    use crate::edge::client::Client;

    fn client(number: u8) -> Client {
        Client::at([192, 0, 2, number].into())
    }

    #[test]
    fn client_takes_up_to_its_limit_and_leaves_other_clients_their_share() {
        let allowance = Arc::new(Allowance::new(10));
        let mut first = allowance.take(client(1), 6).expect("room");
        assert_eq!(allowance.take(client(1), 5).err(), Some(Refused::Client));
        assert_eq!(first.grow(5), Err(Refused::Client));
        assert_eq!(first.grow(4), Ok(()));
        assert_eq!(allowance.take(client(1), 1).err(), Some(Refused::Client));
        let second = allowance.take(client(2), 10).expect("another client");
        assert_eq!(allowance.taken(), 20);
        drop(first);
        allowance.take(client(1), 10).expect("room again");
        drop(second);
        assert_eq!(allowance.taken(), 0);
    }

    #[test]
    fn all_clients_together_take_up_to_the_servers_limit() {
        let allowance = Arc::new(Allowance::shared(10, 15, 0));
        let first = allowance.take(client(1), 10).expect("room");
        let mut second = allowance.take(client(2), 5).expect("room");
        assert_eq!(second.grow(1), Err(Refused::Server));
        assert_eq!(allowance.take(client(3), 1).err(), Some(Refused::Server));
        drop(first);
        assert_eq!(second.grow(1), Ok(()));
    }

    #[test]
    fn client_gets_its_spare_amount_when_others_use_up_the_server() {
        let allowance = Arc::new(Allowance::shared(10, 15, 3));
        let mut first = allowance.take(client(1), 10).expect("room");
        let second = allowance.take(client(2), 5).expect("room");
        assert_eq!(allowance.take(client(2), 1).err(), Some(Refused::Server));
        assert_eq!(allowance.take(client(3), 4).err(), Some(Refused::Server));
        let mut third = allowance.take(client(3), 2).expect("to spare");
        assert_eq!(third.grow(1), Ok(()));
        assert_eq!(third.grow(1), Err(Refused::Server));
        assert_eq!(first.grow(0), Ok(()));
        drop((first, second));
        assert_eq!(third.grow(7), Ok(()));
        third.grow_anyway(5);
        assert_eq!(allowance.taken(), 15);
        drop(third);
        assert_eq!(allowance.taken(), 0);
    }

    #[test]
    fn amount_that_is_taken_anyway_counts_and_is_given_back() {
        let allowance = Arc::new(Allowance::new(10));
        let mut taken = allowance.take(client(1), 10).expect("room");
        taken.grow_anyway(5);
        assert_eq!(allowance.taken(), 15);
        assert_eq!(allowance.take(client(1), 1).err(), Some(Refused::Client));
        drop(taken);
        assert_eq!(allowance.taken(), 0);
    }
}
