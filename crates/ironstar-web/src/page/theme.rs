//! How pages look: light, dark, or as the system says.

use datastar::prelude::PatchElements;
use maud::{Markup, html};

use crate::session::Theme;

/// The theme that is chosen, and the others to choose from. The style sheet goes by
/// its `data-theme`.
pub(crate) fn draw(theme: Theme) -> Markup {
    html! {
        form #themes .themes action="/theme" method="post" aria-label="Colors"
            data-theme=(theme.name()) {
            @for choice in Theme::ALL {
                button name="theme" value=(choice.name()) aria-pressed=(choice == theme) {
                    (choice.label())
                }
            }
        }
    }
}

/// What has a page look so.
pub(crate) fn patch(theme: Theme) -> PatchElements {
    PatchElements::new(draw(theme).into_string())
}

impl Theme {
    fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}
