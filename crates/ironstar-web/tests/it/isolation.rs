//! No visitor ever gets a byte of a list that they may not see.
//!
//! The test plays random histories of visitors, lists, links and revocations. After each
//! step, every visitor asks every route for every list, with every link that they ever had.
//! Meanwhile they keep streams open. The answers and streams may contain the names and texts
//! of lists that the visitor may see, and of no others.

mod deeds;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::app::{TestApp, json as body, text};
use crate::bundle::address;

use deeds::{Deed, VISITORS, any_deed};

/// A list, as the test knows it.
struct List {
    id: String,
    owner: usize,
    /// A text in the name and in all todos of this list, and in no other list.
    mark: String,
    todos: Vec<String>,
}

/// A link: its list, its holder, and its state.
struct Shared {
    list: usize,
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

struct World {
    visitors: Vec<TestApp>,
    lists: Vec<List>,
    links: Vec<Shared>,
    streams: Vec<Stream>,
    marks: usize,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::init().await;
        let mut visitors = Vec::new();
        for _ in 0..VISITORS {
            let visitor = app.stranger();
            let begin = Request::post("/api/session").body(Body::empty());
            visitor.send(begin.expect("a request")).await;
            visitors.push(visitor);
        }
        Self {
            visitors,
            lists: Vec::new(),
            links: Vec::new(),
            streams: Vec::new(),
            marks: 0,
        }
    }

    /// A new text with the mark of a list.
    fn mark(&mut self, list: usize) -> String {
        self.marks += 1;
        format!("mark{list}x{}", self.marks)
    }

    async fn play(&mut self, deed: &Deed) {
        match deed {
            Deed::Create(owner) => self.create(*owner).await,
            Deed::Add(list) => self.add(*list).await,
            Deed::Rename(list) => {
                if let Some(list) = self.list(*list) {
                    let name = self.mark(list);
                    let id = &self.lists[list].id;
                    let command = json!({"type": "rename", "id": id, "name": name});
                    self.command(self.lists[list].owner, "list", &command).await;
                }
            }
            Deed::Archive(list) => {
                if let Some(list) = self.list(*list) {
                    let command = json!({"type": "archive", "id": self.lists[list].id});
                    self.command(self.lists[list].owner, "list", &command).await;
                }
            }
            Deed::Share { list, to, edit } => self.share(*list, *to, *edit).await,
            Deed::Revoke(link) => self.revoke(*link).await,
            Deed::Watch { visitor, list } => self.watch(*visitor, *list).await,
        }
    }

    fn list(&self, number: usize) -> Option<usize> {
        (!self.lists.is_empty()).then(|| number % self.lists.len())
    }

    async fn command(&self, by: usize, what: &str, command: &Value) -> (StatusCode, Value) {
        self.command_by(by, what, "", command).await
    }

    async fn command_by(
        &self,
        visitor: usize,
        what: &str,
        query: &str,
        command: &Value,
    ) -> (StatusCode, Value) {
        let request = Request::post(format!("/api/commands/{what}{query}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(command.to_string().into())
            .expect("a request");
        let response = self.visitors[visitor].send(request).await;
        (response.status(), body(response).await)
    }

    async fn create(&mut self, owner: usize) {
        let number = self.lists.len();
        let mark = format!("mark{number}x");
        let name = self.mark(number);
        let command = json!({"type": "create", "name": name});
        let (status, answer) = self.command(owner, "list", &command).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        self.lists.push(List {
            id: answer["id"].as_str().expect("an id").to_owned(),
            owner,
            mark,
            todos: Vec::new(),
        });
    }

    async fn add(&mut self, list: usize) {
        let Some(list) = self.list(list) else {
            return;
        };
        let text = self.mark(list);
        let List { id, owner, .. } = &self.lists[list];
        let command = json!({"type": "create", "text": text, "list": id});
        let (status, answer) = self.command(*owner, "todo", &command).await;
        if status == StatusCode::OK {
            let id = answer["id"].as_str().expect("an id").to_owned();
            self.lists[list].todos.push(id);
        }
    }

    async fn share(&mut self, list: usize, to: usize, edit: bool) {
        let Some(list) = self.list(list) else {
            return;
        };
        let List { id, owner, .. } = &self.lists[list];
        let access = if edit { "edit" } else { "read" };
        let command = json!({"type": "create_link", "id": id, "access": access});
        let (status, _) = self.command(*owner, "list", &command).await;
        if status != StatusCode::OK {
            return;
        }
        let lists = body(self.visitors[*owner].get("/api/lists").await).await;
        let all = lists["open"].as_array().expect("lists");
        let shown = all.iter().find(|shown| shown["id"] == json!(id));
        let links = shown.expect("the list")["links"].as_array().expect("links");
        let link = links.last().expect("the link");
        let address = link["address"].as_str().expect("an address");
        let (_, token) = address.split_once("link=").expect("a token");
        self.links.push(Shared {
            list,
            id: link["id"].as_str().expect("an id").to_owned(),
            token: token.to_owned(),
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
        let Shared { list, id, .. } = &self.links[link];
        let List {
            id: list, owner, ..
        } = &self.lists[*list];
        let command = json!({"type": "revoke_link", "id": list, "link": id});
        self.command(*owner, "list", &command).await;
        self.links[link].is_revoked = true;
        // The holder may keep everything that was sent before.
        self.forgive();
    }

    /// Returns true if a visitor may see a list, as its owner or by this link.
    fn may_see(&self, visitor: usize, list: usize, link: Option<usize>) -> bool {
        let by = link.map(|link| &self.links[link]);
        self.lists[list].owner == visitor
            || by.is_some_and(|link| link.list == list && !link.is_revoked)
    }

    /// No link, and all links that a visitor has ever had.
    fn links_of(&self, visitor: usize) -> Vec<Option<usize>> {
        let theirs = (0..self.links.len()).filter(|link| self.links[*link].to == visitor);
        std::iter::once(None).chain(theirs.map(Some)).collect()
    }

    fn query(&self, link: Option<usize>, first: char) -> String {
        let link = link.map(|link| format!("{first}link={}", self.links[link].token));
        link.unwrap_or_default()
    }

    /// A visitor opens streams by each of their links, and keeps them open.
    async fn watch(&mut self, visitor: usize, list: usize) {
        let Some(list) = self.list(list) else {
            return;
        };
        let id = self.lists[list].id.clone();
        let response = self.visitors[visitor].get("/api/sse/lists").await;
        self.hold(visitor, None, response);
        for link in self.links_of(visitor) {
            let link_query = self.query(link, '&');
            for path in [
                format!("/api/sse/todos?list={id}{link_query}"),
                format!("/api/events?after=0{link_query}"),
                format!("/api/events?after=0&key=events/List/{id}/**{link_query}"),
            ] {
                let response = self.visitors[visitor].get(&path).await;
                let expected = if path.contains("sse") && !self.may_see(visitor, list, link) {
                    StatusCode::NOT_FOUND
                } else {
                    StatusCode::OK
                };
                assert_eq!(response.status(), expected, "{path}");
                self.hold(visitor, link, response);
            }
            let todos = format!("/api/sse/todos?list={id}{link_query}");
            let streams = json!([{"path": todos}, {"path": "/api/sse/lists"}]);
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

    /// Checks that a visitor's answer is about no list that they may not see.
    fn check(&self, visitor: usize, link: Option<usize>, what: &str, got: &str) {
        for (number, list) in self.lists.iter().enumerate() {
            if !self.may_see(visitor, number, link) {
                assert!(
                    !got.contains(&list.mark),
                    "{what} tells of {}: {got}",
                    list.mark
                );
            }
        }
    }

    /// Every visitor asks for everything.
    async fn examine(&mut self) {
        for visitor in 0..VISITORS {
            for link in self.links_of(visitor) {
                self.ask(visitor, link).await;
            }
        }
        // Wait until streams have sent what they are about to send.
        tokio::time::sleep(Duration::from_millis(25)).await;
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let heard = self.heard(index);
            let new = &heard[stream.checked..];
            self.check(stream.visitor, stream.link, "a stream", new);
        }
    }

    async fn ask(&self, visitor: usize, link: Option<usize>) {
        let app = &self.visitors[visitor];
        for path in ["/", "/lists", "/api/lists", "/api/todos", "/api/session"] {
            let query = self.query(link, '?');
            let got = text(app.get(&format!("{path}{query}")).await).await;
            // These pages show the visitor's own lists, whatever the link.
            self.check(visitor, None, path, &got);
        }
        for (number, list) in self.lists.iter().enumerate() {
            let id = &list.id;
            let may_see = self.may_see(visitor, number, link);
            let (query, also) = (self.query(link, '?'), self.query(link, '&'));
            for path in [
                format!("/lists/{id}{query}"),
                format!("/lists/{id}/active{query}"),
                format!("/lists/{id}/completed{query}"),
                format!("/api/todos?list={id}{also}"),
            ] {
                let response = app.get(&path).await;
                let status = response.status();
                let expected = if may_see {
                    StatusCode::OK
                } else {
                    StatusCode::NOT_FOUND
                };
                assert_eq!(status, expected, "{visitor} {path}");
                self.check(visitor, link, &path, &text(response).await);
            }
            if !may_see {
                self.meddle(visitor, link, number).await;
            }
        }
    }

    /// Checks that a visitor who may not see a list cannot change it, and that the answer is
    /// 404.
    async fn meddle(&self, visitor: usize, link: Option<usize>, list: usize) {
        let List { id, todos, .. } = &self.lists[list];
        let query = self.query(link, '?');
        let mut commands = vec![
            ("list", json!({"type": "rename", "id": id, "name": "x"})),
            (
                "list",
                json!({"type": "create_link", "id": id, "access": "edit"}),
            ),
            ("todo", json!({"type": "create", "text": "x", "list": id})),
            ("todos", json!({"type": "complete_all", "id": id})),
        ];
        if let Some(todo) = todos.last() {
            commands.push(("todo", json!({"type": "complete", "id": todo})));
            commands.push(("todo", json!({"type": "delete", "id": todo})));
        }
        for (what, command) in commands {
            let (status, answer) = self.command_by(visitor, what, &query, &command).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{command}: {answer}");
            self.check(visitor, link, what, &answer.to_string());
        }
        let app = &self.visitors[visitor];
        let form = format!("/todos?list={id}{}", self.query(link, '&'));
        let request = Request::post(form).header(header::ACCEPT, "text/html");
        let response = app.form(request, "text=x").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        self.check(visitor, link, "a form", &text(response).await);
    }

    /// Checks that visitors see the lists that they may see. Without this, a server that shows
    /// nothing would pass.
    async fn expect_sight(&self) -> usize {
        let mut seen = 0;
        for link in self.links.iter().filter(|link| !link.is_revoked) {
            let List { id, mark, .. } = &self.lists[link.list];
            let path = format!("/lists/{id}?link={}", link.token);
            let page = text(self.visitors[link.to].get(&path).await).await;
            assert!(page.contains(mark), "{page}");
            let owns = self.lists[link.list].owner == link.to;
            assert_eq!(page.contains("new-todo"), link.edit || owns, "{page}");
            // Only the owner sees all links, and needs none of them.
            assert_eq!(page.contains("id=\"owner\""), owns, "{page}");
            let shown = self.links.iter().filter(|it| page.contains(&it.token));
            assert!(owns || shown.count() == 1, "{page}");
            let part = format!("active?link={}", link.token);
            assert_eq!(page.contains(&part), !owns, "{page}");
            seen += 1;
        }
        seen
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
fn visitor_gets_no_byte_of_a_list_that_they_may_not_see() {
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let deeds = prop::collection::vec(any_deed(), 1..16);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let played = runner.run(&deeds, |deeds| {
        runtime.block_on(async {
            let mut world = World::new().await;
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
async fn link_opens_its_list_until_it_is_revoked() {
    let mut world = World::new().await;
    let share = |to, edit| Deed::Share { list: 0, to, edit };
    for deed in [
        Deed::Create(0),
        Deed::Add(0),
        share(1, false),
        share(2, true),
        Deed::Watch {
            visitor: 1,
            list: 0,
        },
        Deed::Watch {
            visitor: 2,
            list: 0,
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
    // bundle. Without the link, the five others have nothing of the list.
    let of_each = [[false; 5].as_slice(), &[true; 4]].concat();
    assert_eq!(told(&world), of_each.repeat(2));
    world.play(&Deed::Revoke(0)).await;
    world.play(&Deed::Add(0)).await;
    world.examine().await;
    let heard = world.heard(5);
    assert!(heard.contains("event: datastar-reload"), "{heard}");
    assert!(!heard.contains("mark0x4"), "{heard}");
}
