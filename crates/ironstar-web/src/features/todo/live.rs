//! The live view of a page of a list, which all of its subscribers share.

use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_app::todo::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoProjection, counts_key,
};
use ironstar_domain::todo::TodoId;
use ironstar_ports::Position;
use maud::{Markup, html};
use parking_lot::Mutex;

use super::location::Location;
use super::parts::{element_id, item, nothing, summary, toggle_all};
use super::view::{Shown, section};
use super::window::{Cut, Window};
use crate::stream::live::{Drawing, LiveViews, View, Whole};

/// The largest number of todos that are patched one by one. A page with more changes is
/// drawn as a whole.
const PATCHED: usize = 20;

/// A page with subscribers.
#[derive(Debug)]
pub(super) struct TodoView {
    location: Location,
    lists: TodoLists,
    /// The todos on the page; `None` until they are known.
    window: Mutex<Option<Window>>,
    /// Held while the page is cut. Concurrent cuts would give it different ends.
    cutting: tokio::sync::Mutex<()>,
}

/// The page of a location. It ends as the page of its subscribers does, if there are any.
pub(super) async fn cut(
    views: &LiveViews<Location, TodoView>,
    lists: &TodoLists,
    location: Location,
) -> Result<Cut, ReadError> {
    if let Some(Some(until)) = views.look(&location, TodoView::until)
        && let Some(cut) = Cut::again(lists, location, until).await?
    {
        return Ok(cut);
    }
    Cut::new(lists, location).await
}

/// The changes of the todos on a page.
#[derive(Debug, Default)]
struct Difference<'a> {
    counts: Option<TodoCounts>,
    /// Not sorted yet.
    added: Vec<&'a TodoItem>,
    changed: Vec<&'a TodoItem>,
    removed: Vec<&'a TodoItem>,
}

impl TodoView {
    pub(super) fn new(location: Location, lists: TodoLists) -> Self {
        Self {
            location,
            lists,
            window: Mutex::default(),
            cutting: tokio::sync::Mutex::default(),
        }
    }

    /// The end of the page: a position, or `Some(None)` for the end of the list. Returns
    /// `None` if the end is unknown, or about to change.
    pub(super) fn until(&self) -> Option<Option<Position>> {
        let window = self.window.lock();
        let window = window.as_ref().filter(|window| !window.is_stale());
        window.map(|window| window.until)
    }

    /// The page. This cuts it again if necessary.
    async fn cut(&self) -> Result<Cut, ReadError> {
        let _alone = self.cutting.lock().await;
        let Some(until) = self.until() else {
            let cut = Cut::new(&self.lists, self.location).await?;
            *self.window.lock() = Some(Window::of(&cut));
            return Ok(cut);
        };
        if let Some(cut) = Cut::again(&self.lists, self.location, until).await? {
            return Ok(cut);
        }
        let cut = Cut::new(&self.lists, self.location).await?;
        *self.window.lock() = Some(Window::recut(&cut));
        Ok(cut)
    }

    fn difference<'a>(
        &self,
        window: &Window,
        changes: &'a Changes<TodoDocument>,
    ) -> Difference<'a> {
        let counts = counts_key(self.location.list);
        let mut difference = Difference::default();
        for (key, document) in &changes.documents {
            if *key == counts {
                let after = document.after.as_deref().cloned();
                let after = after.and_then(TodoDocument::counts);
                difference.counts = Some(after.unwrap_or_default());
            }
            let is_here = |todo: &&TodoItem| {
                self.location.shows(todo) && window.has(self.location, todo.created)
            };
            let (was, is) = todos(document);
            match (was.filter(is_here), is.filter(is_here)) {
                (None, None) => {}
                (None, Some(todo)) => difference.added.push(todo),
                (Some(_), Some(todo)) => difference.changed.push(todo),
                (Some(todo), None) => difference.removed.push(todo),
            }
        }
        difference
    }

    /// The patch that draws these todos, and `more`.
    fn items(&self, todos: &[&TodoItem], more: Option<Markup>) -> PatchElements {
        let items = html! {
            @for todo in todos { (item(todo, self.location, None)) }
            @if let Some(more) = more { (more) }
        };
        PatchElements::new(items.into_string())
    }

    /// The patches that insert todos. Each run of them goes before the todo that follows it
    /// on the page, and a run without a follower goes to the end.
    fn insertions(&self, window: &Window, added: &mut [&TodoItem]) -> Vec<PatchElements> {
        added.sort_by_key(|todo| todo.created);
        let follows = |todo: &&TodoItem, next: &&TodoItem| {
            window.after(todo.created).map(|(created, _)| created) == Some(next.created)
        };
        added
            .chunk_by(|todo, next| follows(todo, next))
            .map(|run| {
                let last = run.last().map(|todo| todo.created).unwrap_or_default();
                let patch = self.items(run, None);
                match window.after(last) {
                    Some((_, next)) => patch
                        .selector(selector(next))
                        .mode(ElementPatchMode::Before),
                    None => patch.selector("#todo-list").mode(ElementPatchMode::Append),
                }
            })
            .collect()
    }
}

impl View for TodoView {
    type Projection = TodoProjection;

    fn concerns(&self, key: &str, changed: &Changed<TodoDocument>) -> bool {
        let is_here = |todo: &TodoItem| self.location.shows(todo);
        let (was, is) = todos(changed);
        was.is_some_and(is_here) || is.is_some_and(is_here) || key == counts_key(self.location.list)
    }

    fn draw(&self, changes: &Changes<TodoDocument>) -> Drawing {
        let mut window = self.window.lock();
        let Some(window) = window.as_mut() else {
            return Drawing::Whole;
        };
        let can_be_patched = window.can_be_patched(changes.to.position);
        let mut difference = self.difference(window, changes);
        let Difference {
            counts,
            added,
            changed,
            removed,
        } = &mut difference;
        let shown = added.iter().chain(&*changed).copied();
        let gone = removed.iter().copied();
        let (from, to) = (changes.from, changes.to.position);
        window.take(from, to, shown, gone);
        let count = added.len() + changed.len() + removed.len();
        if !can_be_patched || window.is_stale() || count > PATCHED {
            return Drawing::Whole;
        }
        let mut patches = Vec::new();
        if !changed.is_empty() || counts.is_some() {
            let counted = counts.map(|counts| counted(self.location, counts));
            patches.push(self.items(changed, counted));
        }
        if !removed.is_empty() {
            let removed: Vec<String> = removed.iter().map(|todo| selector(todo.id)).collect();
            patches.push(PatchElements::new_remove(removed.join(",")));
        }
        patches.extend(self.insertions(window, added));
        if patches.is_empty() {
            return Drawing::Nothing;
        }
        Drawing::Patches(patches)
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async move {
            let cut = self.cut().await?;
            let (place, end) = (cut.page.place, cut.until);
            let shown = Shown {
                location: self.location,
                cut,
            };
            let whole = html! {
                (toggle_all(shown.location, shown.cut.page.counts))
                (section(&shown, None))
            };
            Ok(Whole {
                place,
                end,
                patch: PatchElements::new(whole.into_string()),
            })
        }
        .boxed()
    }

    fn end(&self) -> Option<Position> {
        self.until().flatten()
    }

    fn ends_at(&self, end: Option<Position>) -> bool {
        self.until() == Some(end)
    }
}

/// The parts of the page that depend on the counts.
fn counted(at: Location, counts: TodoCounts) -> Markup {
    html! {
        (toggle_all(at, counts))
        (nothing(at, counts))
        (summary(at, counts))
    }
}

impl Location {
    /// Returns true if a todo is in this part of the list, on any page.
    fn shows(self, todo: &TodoItem) -> bool {
        let is_shown = match self.show {
            Show::All => true,
            Show::Active => !todo.completed,
            Show::Completed => todo.completed,
        };
        is_shown && todo.list == self.list
    }
}

/// The todo of a document before and after a change.
fn todos(document: &Changed<TodoDocument>) -> (Option<&TodoItem>, Option<&TodoItem>) {
    (
        of(document.before.as_deref()),
        of(document.after.as_deref()),
    )
}

fn of(document: Option<&TodoDocument>) -> Option<&TodoItem> {
    match document? {
        TodoDocument::Todo(todo) => Some(todo),
        TodoDocument::Counts(_) => None,
    }
}

fn selector(id: TodoId) -> String {
    format!("#{}", element_id(id))
}

#[cfg(test)]
mod tests;
