//! Values that several holders share. A value is made for its first holder, and removed with its
//! last. A value without holders uses no memory here.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The shared values that are in use, by their keys.
#[derive(Debug)]
pub(crate) struct Shared<K, T>(Arc<All<K, T>>);

type All<K, T> = Mutex<HashMap<K, Weak<T>>>;

/// The lifetime of a shared value. The value owns it. Dropping it ends the value's tasks and
/// removes the value's entry.
pub(crate) struct Life {
    ended: CancellationToken,
    leave: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl<K, T> Shared<K, T>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// The value, if it is in use.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.lock().get(key).and_then(Weak::upgrade)
    }

    /// Returns the value, and true if it is new. If the value is not in use yet, `make` makes
    /// it, and the value must own the given life. Of several concurrent callers, one call of
    /// `make` counts, and the others are discarded.
    pub(crate) fn get_or_make(&self, key: &K, make: impl FnOnce(Life) -> Arc<T>) -> (Arc<T>, bool) {
        if let Some(thing) = self.get(key) {
            return (thing, false);
        }
        // This happens without the lock, because dropping a life takes the lock.
        let made = make(self.life(key.clone()));
        let mut all = self.0.lock();
        if let Some(thing) = all.get(key).and_then(Weak::upgrade) {
            drop(all);
            return (thing, false);
        }
        all.insert(key.clone(), Arc::downgrade(&made));
        (made, true)
    }

    fn life(&self, key: K) -> Life {
        let all = Arc::clone(&self.0);
        let leave = move || {
            let mut all = all.lock();
            // Another value may already have the same key.
            if all.get(&key).is_some_and(|thing| thing.strong_count() == 0) {
                all.remove(&key);
            }
        };
        Life {
            ended: CancellationToken::new(),
            leave: Some(Box::new(leave)),
        }
    }

    /// The number of values.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Life {
    /// The lifetime of a value that is not shared.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        Self {
            ended: CancellationToken::new(),
            leave: None,
        }
    }

    /// Runs a task while the value exists. The task must not hold the value itself.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        tokio::spawn(async move { ended.run_until_cancelled(work).await });
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.ended.cancel();
        if let Some(leave) = self.leave.take() {
            leave();
        }
    }
}

impl<K, T> Clone for Shared<K, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, T> Default for Shared<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::pending;
    use tokio::sync::oneshot;

    use super::{Life, Shared};

    #[derive(Debug)]
    struct Thing {
        name: &'static str,
        life: Life,
    }

    fn thing(name: &'static str) -> impl FnOnce(Life) -> Arc<Thing> {
        move |life| Arc::new(Thing { name, life })
    }

    #[tokio::test]
    async fn value_exists_from_its_first_holder_to_its_last() {
        let things = Shared::default();
        let (first, is_new) = things.get_or_make(&1, thing("a"));
        assert!(is_new);
        let (same, is_new) = things.get_or_make(&1, thing("b"));
        assert_eq!((same.name, is_new), ("a", false));
        let (other, is_new) = things.get_or_make(&2, thing("c"));
        assert!(is_new);
        assert_eq!((other.name, things.len()), ("c", 2));
        drop(first);
        assert!(things.get(&1).is_some());
        drop(same);
        assert!(things.get(&1).is_none());
        assert_eq!(things.len(), 1);
        assert_eq!(things.get_or_make(&1, thing("d")).0.name, "d");
    }

    #[tokio::test]
    async fn task_of_a_value_ends_with_the_value() {
        let things = Shared::default();
        let (thing, _) = things.get_or_make(&1, thing("a"));
        let (sender, receiver) = oneshot::channel::<()>();
        thing.life.spawn(async move {
            let _sender = sender;
            pending().await
        });
        drop(thing);
        assert!(receiver.await.is_err());
    }

    #[tokio::test]
    async fn value_that_is_dropped_late_does_not_remove_its_successor() {
        let things = Shared::default();
        let mut left = None;
        let (thing, _) = things.get_or_make(&1, |life| {
            left = Some(life);
            Arc::new(0)
        });
        drop(thing);
        let (again, is_new) = things.get_or_make(&1, |_| Arc::new(1));
        assert!(is_new);
        drop(left);
        assert_eq!(things.get(&1), Some(again));
    }

    #[tokio::test]
    async fn concurrent_callers_share_the_same_value() {
        let things = Shared::default();
        let mut first = None;
        let (second, is_new) = things.get_or_make(&1, |life| {
            first = Some(things.get_or_make(&1, thing("a")).0);
            thing("b")(life)
        });
        assert_eq!((second.name, is_new), ("a", false));
        assert_eq!(things.len(), 1);
        drop((first, second));
        assert_eq!(things.len(), 0);
    }
}
