//! How much of something each visitor may take up at once, and all of them together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::visitor::Visitor;

/// So much for each visitor, and so much for all of them.
#[derive(Debug)]
pub struct Allowance {
    each: u64,
    all: u64,
    /// So much a visitor gets, however much the others take up.
    spare: u64,
    sums: Mutex<Sums>,
}

/// What is taken up at this moment.
#[derive(Debug, Default)]
struct Sums {
    all: u64,
    /// A visitor who takes up nothing is not in here.
    each: HashMap<Visitor, u64>,
}

/// An amount that a visitor takes up until this is dropped.
#[derive(Debug)]
pub struct Taken {
    from: Arc<Allowance>,
    visitor: Visitor,
    amount: u64,
}

/// Why an amount is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The visitor takes up as much as a visitor may.
    Visitor,
    /// All visitors together take up as much as the server has room for.
    Server,
}

impl Allowance {
    /// So much for each visitor, whatever the others take up.
    #[must_use]
    pub fn new(each: u64) -> Self {
        Self::shared(each, u64::MAX, 0)
    }

    /// So much for each visitor, and so much for all of them. A few visitors could take
    /// up all of that, so each visitor gets a small amount to spare, also beyond it.
    #[must_use]
    pub fn shared(each: u64, all: u64, spare: u64) -> Self {
        Self {
            each,
            all,
            spare,
            sums: Mutex::default(),
        }
    }

    /// Takes up an amount, if the visitor may have it.
    ///
    /// # Errors
    ///
    /// If that is more than the visitor may have, or than there is.
    pub fn take(self: &Arc<Self>, visitor: Visitor, amount: u64) -> Result<Taken, Refused> {
        self.add(visitor, amount)?;
        Ok(Taken {
            from: Arc::clone(self),
            visitor,
            amount,
        })
    }

    fn add(&self, visitor: Visitor, amount: u64) -> Result<(), Refused> {
        let mut sums = self.sums();
        let before = sums.each.get(&visitor).copied().unwrap_or_default();
        let each = before.saturating_add(amount);
        let all = sums.all.saturating_add(amount);
        if each > self.each {
            return Err(Refused::Visitor);
        }
        if all > self.all && each > self.spare {
            return Err(Refused::Server);
        }
        sums.set(visitor, each, all);
        Ok(())
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        // Nothing panics between the changes that belong together.
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much all visitors take up.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        let sums = self.sums();
        assert_eq!(sums.each.values().sum::<u64>(), sums.all);
        assert!(sums.each.values().all(|sum| *sum > 0));
        sums.all
    }
}

impl Sums {
    fn set(&mut self, visitor: Visitor, each: u64, all: u64) {
        self.all = all;
        if each == 0 {
            self.each.remove(&visitor);
        } else {
            self.each.insert(visitor, each);
        }
    }
}

impl Taken {
    /// Takes up so much more, if the visitor may have it.
    ///
    /// # Errors
    ///
    /// As [`Allowance::take`]; what was taken up before stays so.
    pub fn grow(&mut self, amount: u64) -> Result<(), Refused> {
        // What takes up nothing is not refused, even if others have taken up all.
        if amount > 0 {
            self.from.add(self.visitor, amount)?;
            self.amount += amount;
        }
        Ok(())
    }

    /// Takes up so much more, whether the visitor may have it or not.
    pub(crate) fn grow_anyway(&mut self, amount: u64) {
        let mut sums = self.from.sums();
        let before = sums.each.get(&self.visitor).copied().unwrap_or_default();
        let all = sums.all.saturating_add(amount);
        sums.set(self.visitor, before.saturating_add(amount), all);
        self.amount += amount;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut sums = self.from.sums();
        let before = sums.each.get(&self.visitor).copied().unwrap_or_default();
        let all = sums.all.saturating_sub(self.amount);
        sums.set(self.visitor, before.saturating_sub(self.amount), all);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Allowance, Refused};
    use crate::visitor::Visitor;

    fn visitor(number: u8) -> Visitor {
        Visitor::at([192, 0, 2, number].into())
    }

    #[test]
    fn visitor_takes_up_to_the_limit_and_leaves_others_theirs() {
        let allowance = Arc::new(Allowance::new(10));
        let mut first = allowance.take(visitor(1), 6).expect("room");
        assert_eq!(allowance.take(visitor(1), 5).err(), Some(Refused::Visitor));
        assert_eq!(first.grow(5), Err(Refused::Visitor));
        assert_eq!(first.grow(4), Ok(()));
        assert_eq!(allowance.take(visitor(1), 1).err(), Some(Refused::Visitor));
        let second = allowance.take(visitor(2), 10).expect("another visitor");
        assert_eq!(allowance.taken(), 20);
        drop(first);
        allowance.take(visitor(1), 10).expect("room again");
        drop(second);
        assert_eq!(allowance.taken(), 0);
    }

    #[test]
    fn all_visitors_together_take_up_to_the_servers_limit() {
        let allowance = Arc::new(Allowance::shared(10, 15, 0));
        let first = allowance.take(visitor(1), 10).expect("room");
        let mut second = allowance.take(visitor(2), 5).expect("room");
        assert_eq!(second.grow(1), Err(Refused::Server));
        assert_eq!(allowance.take(visitor(3), 1).err(), Some(Refused::Server));
        drop(first);
        assert_eq!(second.grow(1), Ok(()));
    }

    #[test]
    fn visitor_has_an_amount_to_spare_when_others_take_up_the_servers() {
        let allowance = Arc::new(Allowance::shared(10, 15, 3));
        let mut first = allowance.take(visitor(1), 10).expect("room");
        let second = allowance.take(visitor(2), 5).expect("room");
        assert_eq!(allowance.take(visitor(2), 1).err(), Some(Refused::Server));
        assert_eq!(allowance.take(visitor(3), 4).err(), Some(Refused::Server));
        let mut third = allowance.take(visitor(3), 2).expect("to spare");
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
        let mut taken = allowance.take(visitor(1), 10).expect("room");
        taken.grow_anyway(5);
        assert_eq!(allowance.taken(), 15);
        assert_eq!(allowance.take(visitor(1), 1).err(), Some(Refused::Visitor));
        drop(taken);
        assert_eq!(allowance.taken(), 0);
    }
}
