//! No visitor ever gets a byte of a note that they may not see.
//!
//! The test plays random histories of visitors, notes, links and revocations. After each step,
//! every visitor asks every route for every note, with every link that they ever had. Meanwhile
//! they keep streams open. The answers and streams may contain the texts of notes and remarks
//! that the visitor may see, and of no others. The same holds for every [`Kind`].

mod checks;
mod deeds;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::StreamExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::bundle::address;
use crate::kinds::{Kind, NOTE, at};

use deeds::{Deed, VISITORS, any_deed};

/// A note, as the test knows it.
struct Note {
    id: String,
    owner: usize,
    /// A text in this note and in all its remarks, and in no other note.
    mark: String,
    remarks: Vec<String>,
}

/// A link: its note, its holder, and its state.
struct Shared {
    note: usize,
    id: String,
    token: String,
    to: usize,
    edit: bool,
    is_revoked: bool,
}

/// A stream that a visitor keeps open.
struct Stream {
    visitor: usize,
    link: Option<usize>,
    heard: Arc<Mutex<String>>,
    task: tokio::task::JoinHandle<()>,
    checked: usize,
}

pub(crate) struct World {
    kind: &'static Kind,
    visitors: Vec<TestApp>,
    notes: Vec<Note>,
    links: Vec<Shared>,
    streams: Vec<Stream>,
    marks: usize,
}

impl World {
    pub(crate) async fn new(kind: &'static Kind) -> Self {
        let app = TestApp::with((kind.setup)()).await;
        let mut visitors = Vec::new();
        for _ in 0..VISITORS {
            let visitor = app.stranger();
            let begin = Request::post("/api/session").body(Body::empty());
            visitor.send(begin.expect("a request")).await;
            visitors.push(visitor);
        }
        Self {
            kind,
            visitors,
            notes: Vec::new(),
            links: Vec::new(),
            streams: Vec::new(),
            marks: 0,
        }
    }

    /// A new text with the mark of a note.
    fn mark(&mut self, note: usize) -> String {
        self.marks += 1;
        format!("mark{note}x{}", self.marks)
    }

    async fn play(&mut self, deed: &Deed) {
        match deed {
            Deed::Create(owner) => self.create(*owner).await,
            Deed::Add(note) => self.add(*note).await,
            Deed::Rewrite(note) => {
                if let Some(note) = self.note(*note) {
                    let text = self.mark(note);
                    let Kind {
                        rewrite,
                        text: field,
                        ..
                    } = self.kind;
                    let id = &self.notes[note].id;
                    let command = json!({"type": rewrite, "id": id, *field: text});
                    self.command(self.notes[note].owner, &command).await;
                }
            }
            Deed::Archive(note) => {
                if let (Some(note), Some(archive)) = (self.note(*note), self.kind.archive) {
                    let command = json!({"type": archive, "id": self.notes[note].id});
                    self.command(self.notes[note].owner, &command).await;
                }
            }
            Deed::Share { note, to, edit } => self.share(*note, *to, *edit).await,
            Deed::Revoke(link) => self.revoke(*link).await,
            Deed::Watch { visitor, note } => self.watch(*visitor, *note).await,
        }
    }

    fn note(&self, number: usize) -> Option<usize> {
        (!self.notes.is_empty()).then(|| number % self.notes.len())
    }

    /// A command on a note.
    async fn command(&self, by: usize, command: &Value) -> (StatusCode, Value) {
        self.visitors[by]
            .post(self.kind.name, command.clone())
            .await
    }

    async fn create(&mut self, owner: usize) {
        let number = self.notes.len();
        let text = self.mark(number);
        self.notes.push(Note {
            id: self.kind.create(&self.visitors[owner], &text).await,
            owner,
            mark: format!("mark{number}x"),
            remarks: Vec::new(),
        });
    }

    async fn add(&mut self, note: usize) {
        let Some(note) = self.note(note) else {
            return;
        };
        let text = self.mark(note);
        let Note { id, owner, .. } = &self.notes[note];
        let (status, answer) = self.kind.add(&self.visitors[*owner], id, &text).await;
        if status == StatusCode::OK {
            let id = answer["id"].as_str().expect("an id").to_owned();
            self.notes[note].remarks.push(id);
        }
    }

    async fn share(&mut self, note: usize, to: usize, edit: bool) {
        let Some(note) = self.note(note) else {
            return;
        };
        let Note { id, owner, .. } = &self.notes[note];
        let access = if edit { "edit" } else { "read" };
        let command = json!({"type": "create_link", "id": id, "access": access});
        let (status, _) = self.command(*owner, &command).await;
        if status != StatusCode::OK {
            return;
        }
        let (id, token) = self.kind.last_link(&self.visitors[*owner], id).await;
        self.links.push(Shared {
            note,
            id,
            token,
            to,
            edit,
            is_revoked: false,
        });
    }

    async fn revoke(&mut self, link: usize) {
        if self.links.is_empty() {
            return;
        }
        let link = link % self.links.len();
        let Shared { note, id, .. } = &self.links[link];
        let Note {
            id: note, owner, ..
        } = &self.notes[*note];
        let command = json!({"type": "revoke_link", "id": note, "link": id});
        self.command(*owner, &command).await;
        self.links[link].is_revoked = true;
        // The holder may keep everything that was sent before.
        self.forgive();
    }

    /// Returns true if a visitor may see a note, as its owner or by this link.
    fn may_see(&self, visitor: usize, note: usize, link: Option<usize>) -> bool {
        let by = link.map(|link| &self.links[link]);
        self.notes[note].owner == visitor
            || by.is_some_and(|link| link.note == note && !link.is_revoked)
    }

    /// No link, and all links that a visitor has ever had.
    fn links_of(&self, visitor: usize) -> Vec<Option<usize>> {
        let theirs = (0..self.links.len()).filter(|link| self.links[*link].to == visitor);
        std::iter::once(None).chain(theirs.map(Some)).collect()
    }

    /// An address about a note, with a link.
    fn at(&self, address: &str, note: &str, link: Option<usize>) -> String {
        at(address, note, link.map(|link| &*self.links[link].token))
    }

    /// A visitor opens streams by each of their links, and keeps them open.
    async fn watch(&mut self, visitor: usize, note: usize) {
        let Some(note) = self.note(note) else {
            return;
        };
        let id = self.notes[note].id.clone();
        let mine = self.kind.stream_of_all;
        let response = self.visitors[visitor].get(mine).await;
        self.hold(visitor, None, response);
        for link in self.links_of(visitor) {
            let stream = self.at(self.kind.stream, &id, link);
            let of_note = format!("/api/events?after=0&key=events/{}/ID/**", self.kind.stored);
            for path in [
                stream.clone(),
                self.at("/api/events?after=0", &id, link),
                self.at(&of_note, &id, link),
            ] {
                let response = self.visitors[visitor].get(&path).await;
                let expected = if path.contains("sse") && !self.may_see(visitor, note, link) {
                    StatusCode::NOT_FOUND
                } else {
                    StatusCode::OK
                };
                assert_eq!(response.status(), expected, "{path}");
                self.hold(visitor, link, response);
            }
            let streams = json!([{"path": stream}, {"path": mine}]);
            let bundle = self.visitors[visitor].get(&address(&streams)).await;
            self.hold(visitor, link, bundle);
        }
    }

    fn hold(&mut self, visitor: usize, link: Option<usize>, response: axum::response::Response) {
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = Arc::clone(&heard);
        let mut frames = response.into_body().into_data_stream();
        let task = tokio::spawn(async move {
            while let Some(Ok(frame)) = frames.next().await {
                let mut heard = hearing.lock().expect("the lock is not poisoned");
                heard.push_str(std::str::from_utf8(&frame).expect("text"));
            }
        });
        self.streams.push(Stream {
            visitor,
            link,
            heard,
            task,
            checked: 0,
        });
    }

    fn heard(&self, stream: usize) -> String {
        self.streams[stream]
            .heard
            .lock()
            .expect("the lock is not poisoned")
            .clone()
    }

    /// Marks everything that streams have sent until now as checked.
    fn forgive(&mut self) {
        for stream in &mut self.streams {
            stream.checked = stream.heard.lock().expect("the lock is not poisoned").len();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for stream in &self.streams {
            stream.task.abort();
        }
    }
}

#[test]
fn visitor_gets_no_byte_of_a_note_that_they_may_not_see() {
    play_at_random(&NOTE);
}

/// Plays random histories.
pub(crate) fn play_at_random(kind: &'static Kind) {
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let deeds = prop::collection::vec(any_deed(), 1..16);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let played = runner.run(&deeds, |deeds| {
        runtime.block_on(async {
            let mut world = World::new(kind).await;
            for deed in &deeds {
                world.play(deed).await;
                world.examine().await;
            }
            world.expect_sight().await;
        });
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

/// One fixed history in which all of this happens.
#[tokio::test]
async fn link_opens_its_note_until_it_is_revoked() {
    play(&NOTE).await;
}

pub(crate) async fn play(kind: &'static Kind) {
    let mut world = World::new(kind).await;
    let share = |to, edit| Deed::Share { note: 0, to, edit };
    for deed in [
        Deed::Create(0),
        Deed::Add(0),
        share(1, false),
        share(2, true),
        Deed::Watch {
            visitor: 1,
            note: 0,
        },
        Deed::Watch {
            visitor: 2,
            note: 0,
        },
        Deed::Add(0),
    ] {
        world.play(&deed).await;
        world.examine().await;
    }
    assert_eq!(world.expect_sight().await, 2);
    let told = |world: &World| -> Vec<bool> {
        let streams = 0..world.streams.len();
        streams
            .map(|index| world.heard(index).contains("mark0x3"))
            .collect()
    };
    // With the link, four streams have the text: of the page, both of events, and the
    // bundle. Without the link, the five others have nothing of the note.
    let of_each = [[false; 5].as_slice(), &[true; 4]].concat();
    assert_eq!(told(&world), of_each.repeat(2));
    world.play(&Deed::Revoke(0)).await;
    world.play(&Deed::Add(0)).await;
    world.examine().await;
    let heard = world.heard(5);
    assert!(heard.contains("event: datastar-reload"), "{heard}");
    assert!(!heard.contains("mark0x4"), "{heard}");
}
