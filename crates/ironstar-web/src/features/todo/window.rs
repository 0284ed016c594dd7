//! The todos of a list that one page shows.
//!
//! A page begins after a position, or at the start of the list. It ends at a position, or at
//! the end of the list. Todos are in the order of their creation, so a todo is on the page if
//! it was created between the two. Other todos come and go without any effect on that: a page
//! gets shorter or longer, but no todo moves to another page while a visitor reads. Only a
//! page that is much too short or too long is cut again. It is then drawn as a whole for all
//! of its subscribers.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use ironstar_app::projection::ReadError;
use ironstar_app::todo::{TodoItem, TodoLists, TodoPage};
use ironstar_domain::todo::TodoId;
use ironstar_ports::Position;

use super::location::Location;
use crate::stream::sse::EventId;

/// The number of todos on a page when it is cut. It is small in tests, whose histories need
/// many pages.
pub(super) const PAGE: usize = if cfg!(test) { 4 } else { 50 };

/// A page with fewer todos than `SHORT` is cut again, unless it ends with the list. So is a
/// page with more than `LONG`.
const SHORT: usize = PAGE / 2;
const LONG: usize = PAGE * 3 / 2;

/// The number of todos that are read to draw a page without a new cut. A page has fewer,
/// except after a burst that has just been stored.
const MOST: usize = PAGE * 10;

/// The page that the subscribers of a view show, as far as the view knows.
#[derive(Debug)]
pub(super) struct Window {
    /// The position as of which this is known.
    at: Position,
    /// The position up to which changes have been drawn.
    drawn: Position,
    /// The page has the todos that were created up to this position; `None`: the page ends
    /// with the list.
    pub(super) until: Option<Position>,
    todos: BTreeMap<Position, TodoId>,
    /// Subscribers show a page with another end, so they need the whole page.
    is_recut: bool,
    /// The page must be cut again.
    is_stale: bool,
}

/// The todos on a page, and its end.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) page: TodoPage,
    pub(super) until: Option<Position>,
}

impl Cut {
    /// The event id of a browser that shows this page.
    pub(super) fn id(&self) -> EventId {
        EventId {
            place: self.page.place,
            end: self.until,
        }
    }

    /// Reads a page, and cuts it at its usual length.
    pub(super) async fn new(lists: &TodoLists, at: Location) -> Result<Self, ReadError> {
        let page = lists.page(at.list, at.show, at.after, PAGE).await?;
        let until = page.next;
        Ok(Self { page, until })
    }

    /// Reads a page that keeps its end. Returns `None` if it is far too long by now.
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

    /// The window of a page that was just cut again, while subscribers show the old cut.
    pub(super) fn recut(cut: &Cut) -> Self {
        Self {
            is_recut: true,
            ..Self::of(cut)
        }
    }

    /// Returns true if the page must be cut again before it is drawn.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Returns true if a todo that was created at this position is on the page.
    pub(super) fn has(&self, at: Location, created: Position) -> bool {
        at.after.is_none_or(|after| created > after)
            && self.until.is_none_or(|until| created <= until)
    }

    /// Returns true if patches can show the changes up to `to`. If not, the whole page must
    /// be drawn.
    pub(super) fn can_be_patched(&mut self, to: Position) -> bool {
        // The window is ahead of the changes only for a moment.
        let can_be = !(self.is_recut || self.is_stale || to < self.at);
        // Changes are drawn for all subscribers first, and then for those that are behind.
        if to > self.drawn {
            self.drawn = to;
            self.is_recut = false;
        }
        can_be
    }

    /// Records the todos that are on the page now, and those that have left it.
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
        // The page was read in the middle of these changes. They do not include a todo that
        // changed before that read, and back again after it.
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
            // The todos behind the end are gone.
            (None, Some(6), Some((6, None))),
            (None, Some(9), Some((6, None))),
            (Some(6), Some(6), Some((6, Some(6)))),
            // The page has become far too long.
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

    /// A read may be ahead of the changes that were sent. Browsers then show an older page,
    /// which these patches do not fit.
    #[test]
    fn window_that_is_ahead_of_the_changes_is_not_patched() {
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
            "the first drawing after a new cut is whole"
        );
        assert!(!window.is_stale());
        assert!(window.can_be_patched(Position::new(12)));
    }
}
