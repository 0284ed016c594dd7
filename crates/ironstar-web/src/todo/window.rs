//! Which todos of a list a page shows.
//!
//! A page begins after a position, or with the list, and ends at one, or with
//! the list. Todos are in the order in which they were created, so a todo is on
//! the page if it was created in between. That does not change when others come
//! and go: a page gets shorter or longer, but no todo moves from page to page
//! under the eyes of its reader. Only when it has become much too short or too
//! long is it cut anew, and then drawn anew for everyone who looks at it.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use ironstar_app::projection::ReadError;
use ironstar_app::todo::{TodoItem, TodoLists, TodoPage};
use ironstar_domain::todo::TodoId;
use ironstar_ports::Position;

use super::location::Location;
use crate::stream::sse::EventId;

/// How many todos a page has when it is cut; few where histories are played
/// through that need many pages.
pub(super) const PAGE: usize = if cfg!(test) { 4 } else { 50 };

/// One that has fewer although there are more in the list, or more than this, is
/// cut anew.
const SHORT: usize = PAGE / 2;
const LONG: usize = PAGE * 3 / 2;

/// How many are read to draw a page that is not cut anew: more than it can have,
/// but for a burst that has just been stored.
const MOST: usize = PAGE * 10;

/// What a view knows of the page that its browsers show.
#[derive(Debug)]
pub(super) struct Window {
    /// As of when this is known.
    at: Position,
    /// Up to where changes have been drawn.
    drawn: Position,
    /// The last position at which a todo may have been created to be on the page;
    /// `None`: the page ends with the list.
    pub(super) until: Option<Position>,
    todos: BTreeMap<Position, TodoId>,
    /// What browsers show was cut elsewhere, so they have to be drawn anew.
    is_recut: bool,
    /// It has to be cut anew.
    is_stale: bool,
}

/// What is on a page, and where it ends.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) page: TodoPage,
    pub(super) until: Option<Position>,
}

impl Cut {
    /// What a browser has seen that shows it.
    pub(super) fn id(&self) -> EventId {
        EventId {
            place: self.page.place,
            end: self.until,
        }
    }

    /// Cuts a page off a list.
    pub(super) async fn new(lists: &TodoLists, at: Location) -> Result<Self, ReadError> {
        let page = lists.page(at.list, at.show, at.after, PAGE).await?;
        let until = page.next;
        Ok(Self { page, until })
    }

    /// Reads a page that ends where it was cut; nothing, if it is far too long by
    /// now.
    pub(super) async fn again(
        lists: &TodoLists,
        at: Location,
        until: Option<Position>,
    ) -> Result<Option<Self>, ReadError> {
        let page = lists.page(at.list, at.show, at.after, MOST).await?;
        Ok(Self::ending_at(page, until))
    }

    fn ending_at(mut page: TodoPage, until: Option<Position>) -> Option<Self> {
        if let Some(until) = until {
            let length = page.todos.partition_point(|todo| todo.created <= until);
            if length < page.todos.len() {
                page.todos.truncate(length);
                page.next = Some(until);
            }
        }
        let is_all = page.next.is_none() || page.next == until;
        is_all.then_some(Self { page, until })
    }
}

impl Window {
    /// The window of a page that was just cut.
    pub(super) fn of(cut: &Cut) -> Self {
        let todos = cut.page.todos.iter();
        Self {
            at: cut.page.place.position,
            drawn: Position::START,
            until: cut.until,
            todos: todos.map(|todo| (todo.created, todo.id)).collect(),
            is_recut: false,
            is_stale: false,
        }
    }

    /// The same, of a page that others show as it was cut before.
    pub(super) fn recut(cut: &Cut) -> Self {
        Self {
            is_recut: true,
            ..Self::of(cut)
        }
    }

    /// Whether it has to be cut anew before it is drawn again.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether a todo would be on the page.
    pub(super) fn has(&self, at: Location, created: Position) -> bool {
        at.after.is_none_or(|after| created > after)
            && self.until.is_none_or(|until| created <= until)
    }

    /// Whether changes up to here can be shown by patches; if not, everything has
    /// to be drawn anew.
    pub(super) fn can_be_patched(&mut self, to: Position) -> bool {
        // What is known is ahead of what is to be shown only for a moment.
        let can_be = !(self.is_recut || self.is_stale || to < self.at);
        // Changes are drawn for everyone first, and then for who is behind.
        if to > self.drawn {
            self.drawn = to;
            self.is_recut = false;
        }
        can_be
    }

    /// Takes note of what is on the page, and what is not any more.
    pub(super) fn take<'a>(
        &mut self,
        from: Position,
        to: Position,
        shown: impl IntoIterator<Item = &'a TodoItem>,
        gone: impl IntoIterator<Item = &'a TodoItem>,
    ) {
        if to < self.at {
            return;
        }
        // What was read lies within the changes: what has changed up to there, and back
        // since, is not among them.
        self.is_stale |= from < self.at && self.at < to;
        self.at = to;
        for todo in shown {
            self.todos.insert(todo.created, todo.id);
        }
        let mut is_less = false;
        for todo in gone {
            is_less |= self.todos.remove(&todo.created).is_some();
        }
        let is_short = is_less && self.until.is_some() && self.todos.len() < SHORT;
        self.is_stale |= is_short || self.todos.len() > LONG;
    }

    /// The todo that comes next on the page.
    pub(super) fn after(&self, created: Position) -> Option<(Position, TodoId)> {
        let mut next = self.todos.range((Excluded(created), Unbounded));
        next.next().map(|(created, id)| (*created, *id))
    }
}

#[cfg(test)]
mod tests {
    use ironstar_app::todo::{TodoCounts, TodoItem, TodoPage};
    use ironstar_domain::list::ListId;
    use ironstar_domain::todo::TodoId;
    use ironstar_ports::Position;
    use uuid::Uuid;

    use super::{Cut, PAGE, SHORT, Window};

    fn item(number: u64) -> TodoItem {
        TodoItem {
            id: TodoId::new(Uuid::from_u128(number.into())),
            list: ListId::SHARED,
            text: "Buy milk".parse().expect("valid"),
            completed: false,
            created: Position::new(number),
        }
    }

    fn page(length: u64, next: Option<u64>) -> TodoPage {
        TodoPage {
            place: Position::new(10).into(),
            counts: TodoCounts::default(),
            todos: (1..=length).map(item).collect(),
            next: next.map(Position::new),
        }
    }

    #[test]
    fn page_is_read_again_as_it_was_cut() {
        for (next, until, expected) in [
            (None, None, Some((6, None))),
            (None, Some(4), Some((4, Some(4)))),
            (Some(6), Some(4), Some((4, Some(4)))),
            // What came behind it is gone.
            (None, Some(6), Some((6, None))),
            (None, Some(9), Some((6, None))),
            (Some(6), Some(6), Some((6, Some(6)))),
            // It has become far too long.
            (Some(6), None, None),
            (Some(6), Some(9), None),
        ] {
            let cut = Cut::ending_at(page(6, next), until.map(Position::new));
            let cut = cut.map(|cut| {
                assert_eq!(cut.until, until.map(Position::new));
                (cut.page.todos.len(), cut.page.next.map(Position::get))
            });
            assert_eq!(cut, expected, "{next:?} {until:?}");
        }
    }

    #[test]
    fn page_is_cut_again_when_it_has_become_much_too_short() {
        let page = page(PAGE as u64, Some(PAGE as u64));
        let todos = page.todos.clone();
        let until = page.next;
        let mut window = Window::of(&Cut { page, until });
        for (gone, todo) in todos.iter().enumerate() {
            let at = Position::new(11 + gone as u64);
            window.take(at, at.next(), [], [todo]);
            let left = PAGE - gone - 1;
            assert_eq!(window.is_stale(), left < SHORT, "{left} left");
        }
    }

    /// What is read may be ahead of what is told: then it is not what browsers
    /// show who have only been told.
    #[test]
    fn what_is_known_ahead_of_its_time_is_not_patched() {
        let cut = Cut {
            page: page(0, None),
            until: None,
        };
        let mut window = Window::of(&cut);
        assert!(!window.can_be_patched(Position::new(9)));
        assert!(window.can_be_patched(Position::new(10)));
        let mut window = Window::recut(&cut);
        assert!(
            !window.can_be_patched(Position::new(11)),
            "others are told first"
        );
        assert!(!window.is_stale());
        assert!(window.can_be_patched(Position::new(12)));
    }
}
