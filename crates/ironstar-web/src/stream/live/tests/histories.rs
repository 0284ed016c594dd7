//! In every history, a browser shows the state at the position that it has as its id.
//!
//! Events happen. They are folded in batches, stored, sent as news, added to the log, and
//! published, each step at a random time. Browsers read or pause. They lose their connection
//! between two events or within a change, and reconnect, also from a server that has folded the
//! same events in other batches.
//!
//! After each complete change, a browser's content is compared with the history at its id. At
//! the end, when all news have arrived, it is compared with the present.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ironstar_app::projection::{Changed, Changes, News};
use ironstar_ports::Position;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::cells::{Browser, Cell, CellsView, World, events};
use crate::stream::live::live_view::LiveView;
use crate::stream::live::log::Bounds;

const BROWSERS: usize = 4;

#[derive(Clone, Debug)]
enum Deed {
    Make {
        value: u64,
    },
    Set {
        which: Index,
        value: u64,
    },
    Remove {
        which: Index,
    },
    /// An event that concerns no cell.
    Else,
    /// Folds and stores this number of events.
    Store {
        count: usize,
    },
    /// Sends the news of the oldest stored batch that has not been sent.
    Tell,
    /// The view adds the oldest news to its log.
    Take,
    /// The view misses all news that were sent.
    Lag,
    Publish,
    Read {
        who: usize,
    },
    /// A browser reads only this number of events, and then its connection breaks.
    Break {
        who: usize,
        after: usize,
    },
    /// A browser reconnects from another server, where it may have seen any position.
    Move {
        who: usize,
        seen: Index,
    },
}

fn deeds() -> impl Strategy<Value = Deed> {
    let who = || 0..BROWSERS;
    let which = || any::<Index>();
    prop_oneof![
        3 => (0..4_u64).prop_map(|value| Deed::Make { value }),
        6 => (which(), 0..4_u64).prop_map(|(which, value)| Deed::Set { which, value }),
        2 => which().prop_map(|which| Deed::Remove { which }),
        1 => Just(Deed::Else),
        6 => (1..4_usize).prop_map(|count| Deed::Store { count }),
        6 => Just(Deed::Tell),
        6 => Just(Deed::Take),
        1 => Just(Deed::Lag),
        5 => Just(Deed::Publish),
        12 => who().prop_map(|who| Deed::Read { who }),
        2 => (who(), 0..3_usize).prop_map(|(who, after)| Deed::Break { who, after }),
        2 => (who(), which()).prop_map(|(who, seen)| Deed::Move { who, seen }),
    ]
}

/// Bounds that are each either those of a real view, which these tests never reach, or so small
/// that they are soon reached.
fn bounds() -> impl Strategy<Value = Bounds> {
    let of_a_view = Bounds::OF_A_VIEW;
    let entries = prop_oneof![Just(of_a_view.entries), 1..6_usize];
    let documents = prop_oneof![Just(of_a_view.documents), 1..9_usize];
    let batches = prop_oneof![Just(of_a_view.batches), 1..3_usize];
    (entries, documents, batches).prop_map(|(entries, documents, batches)| Bounds {
        entries,
        documents,
        batches,
    })
}

/// A stored batch: the position up to which it leads, and its news.
type Batch = (u64, Option<News<Cell>>);

struct Play {
    view: CellsView,
    live: Arc<LiveView<CellsView>>,
    /// The cells at each position.
    history: Vec<World>,
    stored: VecDeque<Batch>,
    told: VecDeque<News<Cell>>,
    /// The position up to which news have been sent.
    reached: u64,
    browsers: Vec<(Browser, BoxStream<'static, bytes::Bytes>)>,
}

impl Play {
    fn new(is_even_only: bool, bounds: Bounds) -> Self {
        let view = CellsView {
            is_even_only,
            patched: 4,
            ..CellsView::default()
        };
        let live = view.clone().alone(0, bounds);
        let mut play = Self {
            view,
            live,
            history: vec![World::new()],
            stored: VecDeque::new(),
            told: VecDeque::new(),
            reached: 0,
            browsers: vec![],
        };
        for _ in 0..BROWSERS {
            let frames = play.open(None);
            play.browsers.push((Browser::default(), frames));
        }
        play
    }

    fn open(&self, seen: Option<u64>) -> BoxStream<'static, bytes::Bytes> {
        let live = Arc::clone(&self.live);
        let seen = seen.map(Position::new);
        let frames = live.watch(seen, Position::new(self.reached));
        frames.map(|(_, frame)| frame).boxed()
    }

    fn present(&self) -> &World {
        self.history.last().expect("there is a past")
    }

    fn happens(&mut self, change: impl FnOnce(&mut World, u64)) {
        let mut world = self.present().clone();
        change(&mut world, self.history.len() as u64);
        self.history.push(world);
    }

    fn act(&mut self, deed: Deed) {
        let keys: Vec<String> = self.present().keys().cloned().collect();
        match deed {
            Deed::Make { value } => self.happens(|world, made| {
                world.insert(format!("cell-{made}"), Cell { made, value });
            }),
            Deed::Set { .. } | Deed::Remove { .. } if keys.is_empty() => {}
            Deed::Set { which, value } => self.happens(|world, _| {
                world.get_mut(which.get(&keys)).expect("a cell").value = value;
            }),
            Deed::Remove { which } => self.happens(|world, _| {
                world.remove(which.get(&keys));
            }),
            Deed::Else => self.happens(|_, _| {}),
            Deed::Store { count } => self.store(count),
            Deed::Tell => self.tell(),
            Deed::Take => {
                if let Some(news) = self.told.pop_front() {
                    self.live.take(&news);
                }
            }
            Deed::Lag => {
                if !self.told.is_empty() {
                    self.told.clear();
                    self.live
                        .take(&News::Jumped(Position::new(self.reached).into()));
                }
            }
            Deed::Publish => self.live.publish(),
            Deed::Read { who } => {
                self.read(who, usize::MAX);
            }
            Deed::Break { who, after } => {
                self.read(who, after);
                self.browsers[who].1 = self.open(self.browsers[who].0.id);
            }
            Deed::Move { who, seen } => {
                let seen = seen.index(self.history.len());
                let cells = self.view.of(&self.history[seen]);
                let id = Some(seen as u64);
                self.browsers[who] = (Browser { cells, id }, self.open(id));
            }
        }
    }

    /// Folds events as `ironstar_app::projection` does.
    fn store(&mut self, count: usize) {
        let mut stored = self.view.stored.lock().expect("the lock");
        let start = stored.position as usize;
        let end = (start + count).min(self.history.len() - 1);
        let keys = self.history[start..=end].iter().flat_map(World::keys);
        let mut documents = HashMap::new();
        for key in keys {
            let at = |position: usize| self.history[position].get(key).copied();
            if at(start) != at(end) {
                let changed = Changed {
                    before: at(start).map(Arc::new),
                    after: at(end).map(Arc::new),
                };
                documents.insert(key.clone(), changed);
            }
        }
        let is_same = |position: &usize| self.history[*position] == self.history[start];
        let from = (start..=end).take_while(is_same).last().unwrap_or(start);
        let news = (from < end).then(|| {
            News::Changed(Arc::new(Changes {
                from: Position::new(from as u64),
                to: Position::new(end as u64).into(),
                documents,
            }))
        });
        stored.cells.clone_from(&self.history[end]);
        stored.position = end as u64;
        self.stored.push_back((end as u64, news));
    }

    fn tell(&mut self) {
        if let Some((reached, news)) = self.stored.pop_front() {
            self.reached = reached;
            self.told.extend(news);
        }
    }

    /// Reads the next frames, or only the first `most` events of them. Returns true if there were
    /// frames.
    fn read(&mut self, who: usize, most: usize) -> bool {
        let (browser, frames) = &mut self.browsers[who];
        let mut next = frames.next();
        // A drawing of the whole view yields once.
        let frames = (&mut next).now_or_never().or_else(|| next.now_or_never());
        let Some(frames) = frames else {
            return false;
        };
        let events = events(&frames.expect("the stream goes on"));
        for event in events.iter().take(most) {
            browser.apply(event);
        }
        if let Some(id) = browser.id {
            let then = self.view.of(&self.history[id as usize]);
            assert_eq!(browser.cells, then, "at {id}");
        } else {
            assert!(most < events.len(), "a complete change has an id");
        }
        true
    }

    /// Stores, sends, adds and publishes all that is left, and lets all browsers read it.
    fn end(mut self) {
        self.store(usize::MAX / 2);
        while !self.stored.is_empty() {
            self.tell();
        }
        while let Some(news) = self.told.pop_front() {
            self.live.take(&news);
        }
        self.live.publish();
        let present = self.view.of(self.present());
        for who in 0..BROWSERS {
            while self.read(who, usize::MAX) {}
            assert_eq!(self.browsers[who].0.cells, present, "now");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn browser_shows_the_state_at_its_id(
        is_even_only: bool,
        bounds in bounds(),
        deeds in vec(deeds(), 1..120),
    ) {
        let mut play = Play::new(is_even_only, bounds);
        for deed in deeds {
            play.act(deed);
        }
        play.end();
    }
}
