//! The parts that pages are made of: what a button, a field, a banner look like
//! is decided here and in `static/app.css`, once. `/styleguide` shows them all, in
//! development builds.
//!
//! A part knows nothing of todos. What only one page has stays with that page.
#![cfg_attr(
    not(debug_assertions),
    expect(dead_code, reason = "some parts are only on the style guide so far")
)]

use maud::{Markup, Render, html};

/// How much a button asks to be pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Button {
    /// What the form is for.
    Primary,
    /// One of several things that can be done.
    Quiet,
}

/// How bad the news of a banner is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Banner {
    /// Good to know.
    Note,
    /// Something is not as it should be.
    Alert,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    pub(crate) heading: &'a str,
    /// Numbers stand below each other, digit by digit.
    pub(crate) is_number: bool,
}

/// A field for one line of text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) value: &'a str,
    pub(crate) placeholder: &'a str,
    /// What is wrong with the value.
    pub(crate) problem: Option<&'a str>,
}

impl Button {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button primary",
            Self::Quiet => "button quiet",
        }
    }

    /// A button that sends the form that it is in.
    pub(crate) fn draw(self, label: &str) -> Markup {
        self.draw_as("", label, None)
    }

    /// A button that says which of several the form was sent with.
    pub(crate) fn draw_named(self, name: &str, value: &str, label: &str) -> Markup {
        html! { button class=(self.class()) name=(name) value=(value) { (label) } }
    }

    /// The same, with classes of its own, and a name that says more than its
    /// label to whoever does not see where it stands.
    pub(crate) fn draw_as(self, classes: &str, label: &str, name: Option<&str>) -> Markup {
        let class = [self.class(), classes].join(" ");
        html! {
            button class=(class.trim_end()) aria-label=[name] { (label) }
        }
    }
}

impl Banner {
    /// A line across the page.
    pub(crate) fn draw(self, content: impl Render) -> Markup {
        let class = match self {
            Self::Note => "banner",
            Self::Alert => "banner alert",
        };
        html! { div class=(class) { (content) } }
    }
}

/// A field with its label above, and below it what is wrong.
pub(crate) fn field(field: &Field<'_>) -> Markup {
    let id = format!("field-{}", field.name);
    let problem_id = format!("{id}-problem");
    html! {
        div.field {
            label for=(id) { (field.label) }
            input id=(id) name=(field.name) value=(field.value) placeholder=(field.placeholder)
                dir="auto" autocomplete="off" aria-invalid=[field.problem.map(|_| "true")]
                aria-describedby=[field.problem.map(|_| &problem_id)];
            @if let Some(problem) = field.problem {
                p.problem id=(problem_id) { (problem) }
            }
        }
    }
}

/// What stands where there is nothing to show, and what to do about it.
pub(crate) fn empty_state(content: impl Render) -> Markup {
    html! { p.empty { (content) } }
}

/// A table, which scrolls by itself if the page is too narrow.
pub(crate) fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>]) -> Markup {
    let class = |column: &Column<'_>| column.is_number.then_some("number");
    html! {
        div.table tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" class=[class(column)] { (column.heading) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, column) in row.iter().zip(columns) {
                                td class=[class(column)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The frame around a chart: its title, and in words what it shows.
pub(crate) fn chart(title: &str, summary: &str, drawing: impl Render) -> Markup {
    html! {
        figure.chart {
            figcaption {
                strong { (title) }
                span { (summary) }
            }
            div.drawing { (drawing) }
        }
    }
}
