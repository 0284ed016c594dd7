//! The page of all books, its forms, and its live stream.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use datastar::prelude::PatchElements;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use ironstar_app::CommandContext;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_domain::tidied;
use ironstar_web::account::news::PrivateNews;
use ironstar_web::command::keyed;
use ironstar_web::edge::cost::Cost;
use ironstar_web::edge::form::Form;
use ironstar_web::edge::problem::Problem;
use ironstar_web::page::icon::{cross, pencil, star};
use ironstar_web::page::kit::{Button, Field, empty_state, field};
use ironstar_web::page::layout::{self, Frame};
use ironstar_web::page::notice;
use ironstar_web::session::origin::RequestOrigin;
use ironstar_web::session::{Session, drawn_for};
use ironstar_web::stream::live::{Drawing, LiveViews, View, Whole};
use ironstar_web::stream::sse::LastEventId;
use ironstar_web::{Feature, Services};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use crate::book::BookCommand;
use crate::loans::{BookService, Loan, LoanProjection, PAGE};

/// Books, as they register with the site.
pub fn feature() -> Feature {
    Feature::new(routes)
}

fn routes(services: &Services, news: &PrivateNews) -> Router {
    let model = services.projections.model();
    let books = Books {
        service: BookService {
            commands: services.commands.clone(),
            model: model.clone(),
        },
        views: LiveViews::new(model),
        services: services.clone(),
        news: news.clone(),
    };
    Router::new()
        .route("/", get(page))
        .route("/books", post(add))
        .route("/books/{id}/lend", post(lend))
        .route("/books/{id}/return", post(return_))
        .route(
            "/api/sse/books",
            get(stream).layer(from_fn(drawn_for::check)),
        )
        .with_state(Arc::new(books))
}

/// The shared state of the handlers.
#[derive(Debug)]
struct Books {
    service: BookService,
    views: LiveViews<(), BooksView>,
    services: Services,
    news: PrivateNews,
}

/// The view that all open pages share.
#[derive(Debug)]
struct BooksView(BookService);

impl View for BooksView {
    type Projection = LoanProjection;

    fn concerns(&self, _: &str, _: &Changed<Loan>) -> bool {
        true
    }

    fn draw(&self, _: &Changes<Loan>) -> Drawing {
        Drawing::Whole
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async move {
            let (place, books) = self.0.books().await?;
            Ok(Whole {
                place,
                end: None,
                patch: PatchElements::new(shelf(&books).into_string()),
            })
        }
        .boxed()
    }
}

/// `GET /`
async fn page(State(books): State<Arc<Books>>, frame: Frame) -> Result<Response, Problem> {
    // The reader sees the change that they have just made.
    books.services.catch_up(&books.service.model).await??;
    let (place, loans) = books.service.books().await?;
    let key = books.services.commands.next_id();
    let content = html! {
        main.page {
            (layout::connection(&frame, "/api/sse/books", place.into()))
            header.masthead { (star()) h1 { "books" } }
            (notice::notices(None))
            div.card { (shelf(&loans)) }
            (new_book_form(key))
        }
    };
    Ok(layout::page(&frame, "books", &content))
}

/// The part of the page that changes with the log.
fn shelf(books: &[(String, Loan)]) -> Markup {
    html! {
        section #books aria-label="Books" {
            @if books.is_empty() {
                (empty_state("The library has no books yet. Add one below."))
            } @else {
                ul.rows { @for (id, loan) in books { (book(id, loan)) } }
                @if books.len() == PAGE { p.empty { "Only the first " (PAGE) " books are shown." } }
            }
        }
    }
}

fn book(id: &str, loan: &Loan) -> Markup {
    html! {
        li id={ "book-" (id) } {
            span.text dir="auto" {
                (loan.title)
                @if let Some(reader) = &loan.with { " " small { "lent to " (reader) } }
            }
            @if loan.with.is_some() {
                form action={ "/books/" (id) "/return" } method="post" {
                    (Button::Quiet.draw_as("", "Return", Some(&format!("Return {}", loan.title))))
                }
            } @else {
                // A patch keeps an open editor, and the name that is being typed.
                details.editor id={ "editor-" (id) } name="editor" data-preserve-attr="open" {
                    summary aria-label={ "Lend " (loan.title) } title="Lend" { (pencil()) (cross()) }
                    form action={ "/books/" (id) "/lend" } method="post" {
                        input name="to" required dir="auto" autocomplete="off" placeholder="Reader"
                            data-preserve-attr="value" aria-label={ "Reader of " (loan.title) };
                        (Button::Primary.draw("Lend"))
                    }
                }
            }
        }
    }
}

/// The form for a new book. Submitting it twice adds one book, because it has a key.
fn new_book_form(key: Uuid) -> Markup {
    let text = |name, label| {
        field(&Field {
            name,
            label,
            value: "",
            placeholder: "",
            problem: None,
        })
    };
    html! {
        section.put-away aria-labelledby="new-book" {
            h2 #new-book { "New book" }
            form action="/books" method="post" {
                input type="hidden" name="key" value=(key) autocomplete="off";
                (text("title", "Title"))
                (text("shelf", "Shelf"))
                (Button::Primary.draw("Add the book"))
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct NewBook {
    title: String,
    shelf: String,
    key: String,
}

#[derive(Debug, Deserialize)]
struct Reader {
    to: String,
}

impl Books {
    /// Carries out a command of a form, once for each key, and leads back to the page.
    async fn carry_out(
        &self,
        book: Uuid,
        command: BookCommand,
        context: CommandContext,
    ) -> Result<Redirect, Problem> {
        self.service.execute(book, &command, &context).await?;
        Ok(Redirect::to("/"))
    }
}

/// The most characters of a text that a reader types.
const MOST: usize = 200;

/// Makes one line of a text that a reader has typed.
fn line(name: &str, text: &str) -> Result<String, Problem> {
    let line = tidied(text).trim().to_owned();
    if line.is_empty() || line.chars().count() > MOST {
        let detail = format!("'{name}' must have 1 to {MOST} characters");
        return Err(Problem::invalid("invalid-value", detail));
    }
    Ok(line)
}

/// `POST /books`
async fn add(
    _: Cost,
    State(books): State<Arc<Books>>,
    origin: RequestOrigin,
    form: Result<Form<NewBook>, Problem>,
) -> Result<Redirect, Problem> {
    let Form(form) = form?;
    let (title, shelf) = (line("title", &form.title)?, line("shelf", &form.shelf)?);
    let asked = ("add", &title, &shelf);
    let context = keyed(&asked, origin.key_or(&form.key)?, &origin)?;
    let id = books.services.commands.next_id();
    books
        .carry_out(id, BookCommand::Add { title, shelf }, context)
        .await
}

/// `POST /books/{id}/lend`
async fn lend(
    _: Cost,
    State(books): State<Arc<Books>>,
    path: Result<Path<Uuid>, PathRejection>,
    origin: RequestOrigin,
    form: Result<Form<Reader>, Problem>,
) -> Result<Redirect, Problem> {
    let Path(id) = path.map_err(|_| Problem::no_such_page())?;
    let Form(form) = form?;
    let to = line("to", &form.to)?;
    let context = keyed(&("lend", id, &to), origin.key_or("")?, &origin)?;
    books.carry_out(id, BookCommand::Lend { to }, context).await
}

/// `POST /books/{id}/return`
async fn return_(
    _: Cost,
    State(books): State<Arc<Books>>,
    path: Result<Path<Uuid>, PathRejection>,
    origin: RequestOrigin,
) -> Result<Redirect, Problem> {
    let Path(id) = path.map_err(|_| Problem::no_such_page())?;
    let context = keyed(&("return", id), origin.key_or("")?, &origin)?;
    books.carry_out(id, BookCommand::Return, context).await
}

/// `GET /api/sse/books`: the changes of the page, as Datastar patches.
async fn stream(
    State(books): State<Arc<Books>>,
    seen: LastEventId,
    session: Session,
) -> Result<Response, Problem> {
    let make = || BooksView(books.service.clone());
    books.services.settle(&books.service.model).await?;
    let view = books.views.open(&(), make).await;
    let seen = seen.seen(&books.services.feed).await;
    let frames = view.watch(seen).map(|(_, frame)| frame).boxed();
    Ok(books.news.stream(&session, frames, Vec::new()).await?)
}
