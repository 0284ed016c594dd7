//! The real server, as browsers see it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use reqwest::Client;
use tempfile::TempDir;

/// A server with a database of its own, until it is dropped.
struct Server {
    address: String,
    process: Child,
    browser: Client,
    _folder: TempDir,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = folder.path().join("library.db");
        let mut process = Command::new(env!("CARGO_BIN_EXE_library"))
            .env_clear()
            .args(["--listen", "127.0.0.1:0"])
            .args(["--database-url", &format!("sqlite:{}", database.display())])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut ready = String::new();
        let output = process.stdout.as_mut().expect("its output");
        BufReader::new(output).read_line(&mut ready).expect("text");
        let address = ready.strip_prefix("library is ready at ").expect(&ready);
        let (address, _) = address.split_once(' ').expect("its address");
        Self {
            address: address.to_owned(),
            process,
            browser: Client::new(),
            _folder: folder,
        }
    }

    /// Sends a form, and returns the page to which the answer leads.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let form = self.browser.post(format!("{}{path}", self.address));
        let answer = form.header("accept", "text/html").form(fields).send().await;
        answer.expect("an answer").text().await.expect("a page")
    }

    /// The id of the only book.
    async fn book(&self) -> String {
        let page = self.browser.get(&self.address).send().await;
        let page = page.expect("an answer").text().await.expect("a page");
        let (_, id) = page.split_once("id=\"book-").expect("a book");
        id.split('"').next().expect("its id").to_owned()
    }

    /// The patches of the live page, from now on.
    async fn live(&self) -> impl Stream<Item = String> + Unpin {
        let stream = self.browser.get(format!("{}/api/sse/books", self.address));
        let answer = stream.send().await.expect("an answer");
        let events = answer.bytes_stream().eventsource();
        events.map(|event| event.expect("an event").data).boxed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("the server runs");
        self.process.wait().expect("the server ends");
    }
}

/// Waits for a patch that contains a text.
async fn shows(live: &mut (impl Stream<Item = String> + Unpin), text: &str) {
    let shown = live.filter(|patch| std::future::ready(patch.contains(text)));
    let patch = tokio::time::timeout(Duration::from_secs(20), shown.boxed_local().next()).await;
    assert!(patch.is_ok_and(|patch| patch.is_some()), "no patch: {text}");
}

#[tokio::test]
async fn page_of_every_reader_shows_each_change() {
    let server = Server::start(&[]);
    let mut live = server.live().await;
    let emma = [("title", "Emma"), ("shelf", "novels"), ("key", "1")];
    let page = server.submit("/books", &emma).await;
    assert!(page.contains("Emma"), "{page}");
    shows(&mut live, "Emma").await;
    let id = server.book().await;
    let lend = format!("/books/{id}/lend");
    let page = server.submit(&lend, &[("to", "Ada")]).await;
    assert!(page.contains("lent to Ada"), "{page}");
    shows(&mut live, "lent to Ada").await;
    let refused = server.submit(&lend, &[("to", "Bob")]).await;
    assert!(refused.contains("Ada has this book."), "{refused}");
    let page = server.submit(&format!("/books/{id}/return"), &[]).await;
    assert!(!page.contains("lent to"), "{page}");
}

#[tokio::test]
async fn form_that_is_sent_twice_adds_one_book() {
    let server = Server::start(&[]);
    let emma = [("title", "Emma"), ("shelf", "novels"), ("key", "1")];
    server.submit("/books", &emma).await;
    let page = server.submit("/books", &emma).await;
    assert_eq!(page.matches("id=\"book-").count(), 1, "{page}");
}

#[tokio::test]
async fn book_that_has_been_out_for_a_long_time_is_called_back() {
    let server = Server::start(&["--loan-days=0"]);
    let emma = [("title", "Emma"), ("shelf", "novels"), ("key", "1")];
    server.submit("/books", &emma).await;
    let id = server.book().await;
    let lend = format!("/books/{id}/lend");
    let lent = server.submit(&lend, &[("to", "Ada")]).await;
    assert!(!lent.contains("Sorry"), "{lent}");
    let is_called_back = async {
        while !server
            .submit(&lend, &[("to", "Bob")])
            .await
            .contains("lent to Bob")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let called_back = tokio::time::timeout(Duration::from_secs(20), is_called_back).await;
    called_back.expect("another reader gets the book");
}

#[tokio::test]
async fn text_that_is_empty_or_too_long_is_refused() {
    let server = Server::start(&[]);
    for title in ["", " ", &"x".repeat(201)] {
        let book = [("title", title), ("shelf", "novels"), ("key", "")];
        let refused = server.submit("/books", &book).await;
        assert!(
            refused.contains("must have 1 to 200 characters"),
            "{refused}"
        );
    }
}
