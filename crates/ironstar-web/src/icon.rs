//! Icons, drawn inline.

use maud::{Markup, PreEscaped, html};

pub(crate) fn star() -> Markup {
    icon(
        "star",
        "M16 3l3.5 9L29 13.4l-7.3 6.4L24 29l-8-5-8 5 2.3-9.2L3 13.4 12.5 12z",
    )
}

pub(crate) fn check() -> Markup {
    icon("check", "M8 17l6 6 11-14")
}

pub(crate) fn pencil() -> Markup {
    icon("pencil", "M6 26l2-7L21 6l5 5-13 13zM18 9l5 5")
}

pub(crate) fn cross() -> Markup {
    icon("cross", "M8 8l16 16M24 8L8 24")
}

fn icon(name: &str, path: &str) -> Markup {
    let class = PreEscaped(format!("icon {name}"));
    html! {
        svg class=(class) viewBox="0 0 32 32" aria-hidden="true" { path d=(path) {} }
    }
}
