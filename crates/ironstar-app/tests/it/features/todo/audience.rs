//! The audience of a todo's events.

use ironstar_app::features::FEATURES;
use ironstar_domain::list::ListId;

use crate::audiences::{PARENT, audience};

#[test]
fn event_of_a_todo_has_the_audience_of_its_list() {
    for (parent, expected) in [
        (Some("List"), format!("List {PARENT}")),
        (None, format!("List {}", ListId::SHARED)),
        (Some("Folder"), "no caller".to_owned()),
    ] {
        let audience = audience(&FEATURES.audiences(), "Todo", parent);
        assert_eq!(audience, expected);
    }
}
