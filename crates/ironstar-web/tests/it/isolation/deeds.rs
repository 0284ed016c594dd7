//! The deeds of visitors.

use proptest::prelude::*;

/// The number of visitors.
pub(super) const VISITORS: usize = 3;

/// A deed of a visitor.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// The visitor creates a note.
    Create(usize),
    /// The owner of a note adds a remark.
    Add(usize),
    /// The owner rewrites a note.
    Rewrite(usize),
    /// The owner creates a link, and gives it to a visitor.
    Share { note: usize, to: usize, edit: bool },
    /// The owner revokes a link.
    Revoke(usize),
    /// A visitor opens streams of a note, and of all events.
    Watch { visitor: usize, note: usize },
    /// The owner archives a note, of a kind that can be archived.
    Archive(usize),
}

pub(super) fn any_deed() -> impl Strategy<Value = Deed> {
    let visitor = 0..VISITORS;
    let note = 0..8_usize;
    prop_oneof![
        2 => visitor.clone().prop_map(Deed::Create),
        4 => note.clone().prop_map(Deed::Add),
        1 => note.clone().prop_map(Deed::Rewrite),
        3 => (note.clone(), visitor.clone(), any::<bool>())
            .prop_map(|(note, to, edit)| Deed::Share { note, to, edit }),
        2 => note.clone().prop_map(Deed::Revoke),
        3 => (visitor, note.clone()).prop_map(|(visitor, note)| Deed::Watch { visitor, note }),
        1 => note.prop_map(Deed::Archive),
    ]
}
