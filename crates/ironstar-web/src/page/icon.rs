//! Icons. A page contains each drawing once, and refers to it wherever the icon appears.

use maud::{Markup, html};

/// All drawings: the name, and the path in a square of 32 by 32.
const DRAWINGS: [(&str, &str); 5] = [
    (
        "star",
        "M16 3l3.5 9L29 13.4l-7.3 6.4L24 29l-8-5-8 5 2.3-9.2L3 13.4 12.5 12z",
    ),
    ("check", "M8 17l6 6 11-14"),
    ("pencil", "M6 26l2-7L21 6l5 5-13 13zM18 9l5 5"),
    ("cross", "M8 8l16 16M24 8L8 24"),
    ("chevron", "M7 12l9 9 9-9"),
];

/// The drawings, to which the icons of a page refer.
pub(crate) fn drawings() -> Markup {
    html! {
        svg #drawings aria-hidden="true" {
            @for (name, path) in DRAWINGS {
                symbol id={ "icon-" (name) } viewBox="0 0 32 32" { path d=(path) {} }
            }
        }
    }
}

/// The star of the site.
pub fn star() -> Markup {
    icon("star")
}

/// A check mark.
pub fn check() -> Markup {
    icon("check")
}

/// A pencil, for editing.
pub fn pencil() -> Markup {
    icon("pencil")
}

/// A cross, for closing.
pub fn cross() -> Markup {
    icon("cross")
}

/// A chevron that points down.
pub fn chevron() -> Markup {
    icon("chevron")
}

fn icon(name: &str) -> Markup {
    html! {
        svg class={ "icon " (name) } aria-hidden="true" { use href={ "#icon-" (name) } {} }
    }
}
