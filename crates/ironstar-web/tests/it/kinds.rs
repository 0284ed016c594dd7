//! An aggregate with an owner and parts, as requests name it. Tests of privacy run on notes, and
//! on each feature of the application whose handlers check rights of their own.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::{STREAM, Setup, TestApp, json as body};

/// The names of an aggregate with an owner, and of its parts. In addresses, `ID` stands for the
/// id of the aggregate.
pub(crate) struct Kind {
    /// An application with such aggregates.
    pub(crate) setup: fn() -> Setup,
    /// The type of the aggregate in addresses of commands, and the field that names the aggregate
    /// in commands on parts.
    pub(crate) name: &'static str,
    /// The type of the aggregate in the log.
    pub(crate) stored: &'static str,
    /// The type of a part in addresses of commands; an `s` is added for all parts.
    pub(crate) part: &'static str,
    /// The field of the aggregate's text.
    pub(crate) text: &'static str,
    /// The command that changes this text, or the text of a part.
    pub(crate) rewrite: &'static str,
    /// The command after which the aggregate takes no new parts, if there is one.
    pub(crate) archive: Option<&'static str>,
    /// The command that closes a part, and the problem if the part is closed already.
    pub(crate) close: (&'static str, &'static str),
    /// A text that the page has once for each closed part.
    pub(crate) closed: &'static str,
    /// The commands on a part that exists.
    pub(crate) on_part: &'static [&'static str],
    /// A command on all parts.
    pub(crate) on_all: &'static str,
    /// The page of the aggregate.
    pub(crate) page: &'static str,
    /// The query for its parts.
    pub(crate) query: &'static str,
    /// Further pages that show it.
    pub(crate) pages: &'static [&'static str],
    /// The stream of its page.
    pub(crate) stream: &'static str,
    /// The stream of the start page, which shows the aggregate that is open to all.
    pub(crate) open_stream: &'static str,
    /// The address of the form for a new part.
    pub(crate) form: &'static str,
    /// A text of the page for visitors who may add parts.
    pub(crate) adds: &'static str,
    /// Checks what else the page shows to a visitor with a link, who may also be the owner.
    pub(crate) check_page: fn(page: &str, link: &str, owns: bool),
    /// The page of the visitor's own aggregates.
    pub(crate) mine: &'static str,
    /// The query for them, and the place of the aggregates in its answer.
    pub(crate) all: (&'static str, &'static str),
    /// The stream of the page of the visitor's own aggregates.
    pub(crate) stream_of_all: &'static str,
}

/// The note, whose parts are remarks.
pub(crate) const NOTE: Kind = Kind {
    setup: Setup::default,
    name: "note",
    stored: "Note",
    part: "remark",
    text: "text",
    rewrite: "rewrite",
    archive: None,
    close: ("close", "remark-already-closed"),
    closed: "class=\"closed\"",
    on_part: &["close", "delete"],
    on_all: "close_all",
    page: "/notes/ID",
    query: "/api/remarks?note=ID",
    pages: &[],
    stream: "/api/sse/notes/ID",
    open_stream: STREAM,
    form: "/notes/ID",
    adds: "New remark",
    check_page: |page, link, _| assert!(page.contains(link), "{page}"),
    mine: "/notes",
    all: ("/api/notes", ""),
    stream_of_all: "/api/sse/notes",
};

/// An address about an aggregate, with a link.
pub(crate) fn at(address: &str, id: &str, link: Option<&str>) -> String {
    let address = address.replace("ID", id);
    let begin = if address.contains('?') { '&' } else { '?' };
    link.map_or(address.clone(), |link| {
        format!("{address}{begin}link={link}")
    })
}

impl Kind {
    /// An application with such aggregates.
    pub(crate) async fn app(&self) -> TestApp {
        TestApp::with((self.setup)()).await
    }

    /// The query for the parts of the aggregate that is open to all.
    pub(crate) fn open_query(&self) -> &'static str {
        let (path, _) = self.query.split_once('?').expect("a query");
        path
    }

    /// Creates an aggregate, and returns its id.
    pub(crate) async fn create(&self, app: &TestApp, text: &str) -> String {
        let create = json!({"type": "create", self.text: text});
        let (status, answer) = app.post(self.name, create).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// Adds a part to an aggregate.
    pub(crate) async fn add(&self, app: &TestApp, id: &str, text: &str) -> (StatusCode, Value) {
        let add = json!({"type": "create", "text": text, self.name: id});
        app.post(self.part, add).await
    }

    /// The links to an aggregate, as its owner sees them.
    pub(crate) async fn links(&self, owner: &TestApp, id: &str) -> Vec<Value> {
        let (query, place) = self.all;
        let all = body(owner.get(query).await).await;
        let all = all.pointer(place).and_then(Value::as_array).expect("all");
        let shown = all.iter().find(|shown| shown["id"] == json!(id));
        let links = shown.expect("the aggregate")["links"].as_array();
        links.expect("links").clone()
    }

    /// The link that was created last, as its id and its token.
    pub(crate) async fn last_link(&self, owner: &TestApp, id: &str) -> (String, String) {
        let links = self.links(owner, id).await;
        let link = links.last().expect("a link");
        let address = link["address"].as_str().expect("an address");
        let (_, token) = address.split_once("?link=").expect("a token");
        let id = link["id"].as_str().expect("an id");
        (id.to_owned(), token.to_owned())
    }
}
