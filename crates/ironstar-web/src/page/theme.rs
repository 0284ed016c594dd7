//! The choice of light pages, dark pages, or the setting of the visitor's system.

use datastar::prelude::PatchElements;
use maud::{Markup, html};

use crate::session::Theme;

/// The form with all themes, in which the chosen one is marked. The style sheet reads its
/// `data-theme`.
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

/// The patch that switches a page to a theme.
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
