use datastar::prelude::PatchElements;
use ironstar_ports::Position;

use super::{datastar_frame, frame};

#[test]
fn a_frame_ends_with_its_id() {
    let patch = PatchElements::new("<p id=\"a\">\n</p>").selector("#a");
    assert_eq!(
        datastar_frame(patch, Some(Position::new(7))),
        "event: datastar-patch-elements\n\
         data: selector #a\n\
         data: elements <p id=\"a\">\n\
         data: elements </p>\n\
         id: 7\n\n"
    );
}

#[test]
fn no_text_can_forge_a_line() {
    for line_end in ["\r", "\n", "\r\n"] {
        let hostile = format!("a{line_end}id: 999{line_end}event: forged");
        let text = frame("created", [hostile], Some(Position::new(1)));
        let fields: Vec<&str> = text
            .split(['\n', '\r'])
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(fields[0], "event: created");
        assert!(
            fields[1..fields.len() - 1]
                .iter()
                .all(|line| line.starts_with("data: ")),
            "{fields:?}"
        );
        assert_eq!(fields[fields.len() - 1], "id: 1");
        assert!(!text.contains('\r'));
    }
}

#[test]
fn datastar_patches_cannot_be_forged_either() {
    let text = datastar_frame(PatchElements::new("<p>a\rid: 999</p>"), None);
    assert_eq!(
        text,
        "event: datastar-patch-elements\ndata: elements <p>a id: 999</p>\n\n"
    );
}
