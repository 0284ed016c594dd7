//! Turns at reading the log, for clients that are far behind it. Each client gets a turn after
//! the other, and so few read at once that all other requests are served as usual.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::edge::client::Client;

/// Gives turns to all clients.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    clients: Arc<Mutex<HashMap<Client, Weak<Semaphore>>>>,
}

/// The turns of one client.
#[derive(Clone, Debug)]
pub(crate) struct ClientTurns {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// A turn. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Turns {
    /// Gives as many turns at once as half of the machine's processors can serve. The other
    /// half is left to all other requests.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new((processors / 2).max(1))
    }
}

impl Turns {
    /// Gives `at_once` turns at the same time.
    fn new(at_once: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(at_once)),
            clients: Arc::default(),
        }
    }

    /// The turns of a client. It has one turn at a time.
    pub(crate) fn of(&self, client: Client) -> ClientTurns {
        let mut clients = self.clients.lock();
        let known = clients.get(&client).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            // Entries that no client holds any more are removed before the map has to grow.
            if clients.len() == clients.capacity() {
                clients.retain(|_, own| own.strong_count() > 0);
            }
            let own = Arc::new(Semaphore::new(1));
            clients.insert(client, Arc::downgrade(&own));
            own
        });
        let all = Arc::clone(&self.all);
        ClientTurns { all, own }
    }
}

impl ClientTurns {
    /// Waits for a turn. The client that has waited longest is next. A client waits in the
    /// common queue only once at a time, however much it has to read.
    pub(crate) async fn next(&self) -> Turn {
        let own = Arc::clone(&self.own).acquire_owned().await;
        let of_all = Arc::clone(&self.all).acquire_owned().await;
        Turn {
            _own: own.expect("it is never closed"),
            _of_all: of_all.expect("it is never closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{ClientTurns, Turn, Turns};
    use crate::edge::client::Client;

    fn client(turns: &Turns, number: u8) -> ClientTurns {
        turns.of(Client::at([192, 0, 2, number].into()))
    }

    fn now(client: &ClientTurns) -> Option<Turn> {
        client.next().now_or_never()
    }

    #[test]
    fn client_has_one_turn_at_a_time() {
        let turns = Turns::new(3);
        let (one, same) = (client(&turns, 1), client(&turns, 1));
        let turn = now(&one).expect("a turn");
        assert!(now(&same).is_none());
        assert!(now(&client(&turns, 2)).is_some(), "others have their turns");
        drop(turn);
        assert!(now(&same).is_some());
    }

    #[test]
    fn number_of_turns_is_limited_and_each_client_waits_once() {
        let turns = Turns::new(2);
        let clients: Vec<_> = (1..=5).map(|number| client(&turns, number)).collect();
        let mut held: Vec<_> = clients.iter().filter_map(now).collect();
        assert_eq!(held.len(), 2);
        // One client has much to read, and another client comes after it.
        let mut first: Vec<_> = (0..3).map(|_| Box::pin(clients[3].next())).collect();
        for waiting in &mut first {
            assert!(waiting.now_or_never().is_none());
        }
        let mut second = Box::pin(clients[4].next());
        assert!((&mut second).now_or_never().is_none());
        held.pop();
        let turn = (&mut first[0]).now_or_never().expect("it was first");
        drop(turn);
        assert!(
            (&mut second).now_or_never().is_some(),
            "the second client comes before the first client's next turn"
        );
    }

    #[test]
    fn disconnected_clients_use_no_memory() {
        let turns = Turns::new(9);
        let lasting = client(&turns, 1);
        let _turn = now(&lasting).expect("a turn");
        for number in 2..=255 {
            client(&turns, number);
        }
        assert!(
            now(&client(&turns, 1)).is_none(),
            "only the other clients are gone"
        );
        let clients = turns.clients.lock();
        assert!(clients.len() < 10, "{}", clients.len());
    }
}
