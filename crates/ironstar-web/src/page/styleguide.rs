//! `/styleguide` shows every part of the kit in every state, for the development of the kit. It
//! exists only in development builds.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use crate::page::icon;
use crate::page::kit::{Banner, Button, Column, Field, chart, empty_state, field, table};
use crate::page::layout;
use crate::page::layout::Frame;

/// The route of this module.
pub(crate) fn routes() -> Router {
    Router::new().route("/styleguide", get(page))
}

async fn page(frame: Frame) -> Response {
    let content = html! {
        main.page.styleguide {
            header.masthead {
                (icon::star())
                h1 { "style guide" }
                p.note { "The parts of every page." }
            }
            (section("Buttons", &buttons()))
            (section("Fields", &fields()))
            (section("Banners", &banners()))
            (section("Empty state", &empty_state("Nothing to do. Add your first todo above.")))
            (section("Table", &lists()))
            (section("Chart", &commands()))
        }
    };
    layout::page(&frame, "style guide", &content)
}

fn section(title: &str, content: &Markup) -> Markup {
    html! {
        section { h2 { (title) } (content) }
    }
}

fn buttons() -> Markup {
    html! {
        div.row {
            (Button::Primary.draw("Add"))
            (Button::Quiet.draw("Clear completed"))
            button.button.primary disabled { "Disabled" }
            form aria-busy="true" { (Button::Primary.draw("In progress")) }
        }
    }
}

fn fields() -> Markup {
    let name = Field {
        name: "name",
        label: "Name of the list",
        value: "",
        placeholder: "What is it about?",
        problem: None,
    };
    let refused = Field {
        name: "refused",
        value: "   ",
        problem: Some("The name of a list must not be empty."),
        ..name
    };
    html! { (field(&name)) (field(&refused)) }
}

fn banners() -> Markup {
    html! {
        (Banner::Note.draw("Archived: it takes no new todos until it is restored."))
        (Banner::Alert.draw("The text of a todo has at most 500 characters; this one has 501."))
    }
}

fn lists() -> Markup {
    let columns = [
        Column {
            heading: "Name",
            is_number: false,
        },
        Column {
            heading: "Todos left",
            is_number: true,
        },
    ];
    let row = |name: &str, left: u32| vec![html! { (name) }, html! { (left) }];
    let rows = [row("Shopping", 3), row("Moving house", 27), row("Done", 0)];
    table("Lists in use", &columns, &rows)
}

fn commands() -> Markup {
    let heights = [22, 35, 31, 48, 40, 62, 58, 76, 70, 88];
    let bars = html! {
        svg viewBox="0 0 200 100" preserveAspectRatio="none" aria-hidden="true" {
            @for (bar, height) in heights.iter().enumerate() {
                rect x=(bar * 20 + 2) y=(100 - height) width="16" height=(height) rx="2" {}
            }
        }
    };
    let summary = "From 22 a minute to 88 a minute within ten minutes.";
    chart("Commands", summary, bars)
}
