//! The parts of pages. This module and `static/css/kit.css` alone decide how a button, a field or a
//! banner looks. In development builds, `/styleguide` shows all parts.
//!
//! A part knows nothing of todos. Elements of a single page stay with that page.

use maud::{Markup, Render, html};

/// The prominence of a button.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Button {
    /// The main action of the form.
    Primary,
    /// One of several possible actions.
    Quiet,
}

/// The severity of a banner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Banner {
    /// Information.
    Note,
    /// A problem.
    Alert,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// The heading of the column.
    pub heading: &'a str,
    /// If true, the cells are numbers, and their digits are aligned.
    pub is_number: bool,
}

/// A field for one line of text.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name under which the form sends the value.
    pub name: &'a str,
    /// The text above the field.
    pub label: &'a str,
    /// The value that the field shows.
    pub value: &'a str,
    /// The text in an empty field.
    pub placeholder: &'a str,
    /// The reason why the value is invalid.
    pub problem: Option<&'a str>,
}

impl Button {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button primary",
            Self::Quiet => "button quiet",
        }
    }

    /// A button that submits its form.
    pub fn draw(self, label: &str) -> Markup {
        self.draw_as("", label, None)
    }

    /// A button that submits its form with a value, for a form with several buttons.
    pub fn draw_named(self, name: &str, value: &str, label: &str) -> Markup {
        html! { button class=(self.class()) name=(name) value=(value) { (label) } }
    }

    /// A button with additional classes, and with a name for screen readers that is more
    /// precise than its label.
    pub fn draw_as(self, classes: &str, label: &str, name: Option<&str>) -> Markup {
        let class = [self.class(), classes].join(" ");
        html! {
            button class=(class.trim_end()) aria-label=[name] { (label) }
        }
    }
}

impl Banner {
    /// Draws a line across the page.
    pub fn draw(self, content: impl Render) -> Markup {
        let class = match self {
            Self::Note => "banner",
            Self::Alert => "banner alert",
        };
        html! { div class=(class) { (content) } }
    }
}

/// A field with its label above it, and the problem with its value below.
pub fn field(field: &Field<'_>) -> Markup {
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

/// The text in place of an empty list, which tells what to do.
pub fn empty_state(content: impl Render) -> Markup {
    html! { p.empty { (content) } }
}

/// A table. It scrolls on its own if the page is too narrow.
pub fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>]) -> Markup {
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

/// The frame around a chart: its title, and a summary in words.
pub fn chart(title: &str, summary: &str, drawing: impl Render) -> Markup {
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
