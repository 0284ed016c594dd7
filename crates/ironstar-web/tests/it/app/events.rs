//! An open event stream, as its subscriber reads it.

use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use eventsource_stream::{Event, EventStream, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;

/// An open event stream.
pub(crate) struct Events {
    events: EventStream<BoxStream<'static, Result<Bytes, axum::Error>>>,
    sides: &'static [&'static str],
}

impl Events {
    /// The events of a response. Those whose data contains one of these texts are not of the view.
    pub(super) fn of(response: Response, sides: &'static [&'static str]) -> Self {
        let bytes = response.into_body().into_data_stream().boxed();
        Self {
            events: bytes.eventsource(),
            sides,
        }
    }

    /// The next event of the view, which must come soon. Its id is without the history's mark.
    pub(crate) async fn next(&mut self) -> Event {
        let mut event = self.next_marked().await;
        if let Some((position, rest)) = event.id.split_once('.') {
            let end = rest.find('-').map_or("", |end| &rest[end..]);
            event.id = format!("{position}{end}");
        }
        event
    }

    /// The next event of the view, which must come soon. Its id is as the server sent it.
    pub(crate) async fn next_marked(&mut self) -> Event {
        loop {
            let event = self.next_of_all().await;
            let mut sides = self.sides.iter().chain(&["id=\"themes\""]);
            if !sides.any(|side| event.data.contains(side)) {
                return event;
            }
        }
    }

    /// The next event whose data contains a text, which must come soon.
    pub(crate) async fn next_with(&mut self, what: &str) -> Event {
        loop {
            let event = self.next_of_all().await;
            if event.data.contains(what) {
                return event;
            }
        }
    }

    async fn next_of_all(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(30), self.events.next())
            .await
            .expect("an event comes")
            .expect("the stream goes on")
            .expect("an event")
    }

    /// Returns true if the stream ends soon.
    pub(crate) async fn ends(&mut self) -> bool {
        self.rest().await.is_some()
    }

    /// The events up to the end of the stream; `None` if it does not end soon.
    pub(crate) async fn rest(&mut self) -> Option<Vec<Event>> {
        let rest = self.events.by_ref().map(|event| event.expect("an event"));
        let rest = tokio::time::timeout(Duration::from_secs(30), rest.collect());
        rest.await.ok()
    }
}
