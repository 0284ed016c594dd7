//! The pages of the stand-in.

use maud::{DOCTYPE, Markup, html};

use crate::Person;

/// The page that asks whether an application may identify a person.
pub(crate) fn consent(people: &[Person], fields: &[(String, String)]) -> Markup {
    page(&html! {
        h1 { "Authorize the application" }
        form action="/login/oauth/authorize" method="post" {
            @for (name, value) in fields {
                input type="hidden" name=(name) value=(value);
            }
            @for person in people {
                p { button name="login" value=(person.login) { "Authorize as " (person.login) } }
            }
            p { button name="cancel" value="cancel" { "Cancel" } }
        }
    })
}

/// The page for an invalid request.
pub(crate) fn refusal(why: &str) -> Markup {
    page(&html! { h1 { "Invalid request" } p { (why) } })
}

fn page(content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "GitHub stand-in" }
                link rel="icon" href="data:,";
            }
            body { (content) }
        }
    }
}
