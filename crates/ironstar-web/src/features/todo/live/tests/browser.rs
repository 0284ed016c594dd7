//! A browser that applies what it reads to the page that it shows.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;

use crate::features::todo::location::Location;
use crate::stream::sse::EventId;

/// A browser, and what it shows.
pub(super) struct Browser {
    pub(super) at: Location,
    /// The elements of the list, in order.
    pub(super) items: Vec<String>,
    pub(super) frames: BoxStream<'static, Bytes>,
    pub(super) seen: Option<EventId>,
}

impl Browser {
    /// Reads everything that was sent by now.
    pub(super) async fn read(&mut self) {
        let moment = Duration::from_millis(1);
        while let Ok(Some(frames)) = timeout(moment, self.frames.next()).await {
            let frames = String::from_utf8(frames.to_vec()).expect("text");
            for frame in frames.split_terminator("\n\n") {
                self.apply(frame);
            }
        }
    }

    fn apply(&mut self, frame: &str) {
        let fields: Vec<&str> = frame.lines().collect();
        let data = |name: &str| {
            let start = format!("data: {name} ");
            fields.iter().find_map(|line| line.strip_prefix(&*start))
        };
        let items = items(data("elements").unwrap_or_default());
        match (data("mode"), data("selector")) {
            (Some("remove"), Some(selector)) => {
                for id in selector.split(',') {
                    let index = self.index(id);
                    self.items.remove(index);
                }
            }
            (Some("append"), Some("#todo-list")) => self.insert(self.items.len(), items),
            (Some("before"), Some(id)) => self.insert(self.index(id), items),
            (None, None) if frame.contains("<section id=\"todos\"") => self.items = items,
            (None, None) => {
                for item in items {
                    let index = self.index(&id(&item));
                    self.items[index] = item;
                }
            }
            other => panic!("unknown patch: {other:?}"),
        }
        for line in fields {
            if let Some(id) = line.strip_prefix("id: ") {
                self.seen = EventId::parse(id);
            }
        }
    }

    fn insert(&mut self, index: usize, items: Vec<String>) {
        for item in &items {
            let id = id(item);
            assert!(
                self.items.iter().all(|other| self::id(other) != id),
                "{id} is inserted twice"
            );
        }
        self.items.splice(index..index, items);
    }

    /// The index of an element, which must exist.
    fn index(&self, id: &str) -> usize {
        let index = self.items.iter().position(|item| self::id(item) == id);
        index.unwrap_or_else(|| panic!("{id} is not shown"))
    }
}

/// The items in a patch.
fn items(elements: &str) -> Vec<String> {
    let items = elements.split("<li id=\"todo-").skip(1);
    items
        .map(|rest| {
            let (item, _) = rest.split_once("</li>").expect("its end");
            format!("<li id=\"todo-{item}</li>")
        })
        .collect()
}

fn id(item: &str) -> String {
    let id = item.split('"').nth(1).expect("an id");
    format!("#{id}")
}
