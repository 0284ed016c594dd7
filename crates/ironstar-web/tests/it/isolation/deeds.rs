//! The deeds of visitors.

use proptest::prelude::*;

/// The number of visitors.
pub(super) const VISITORS: usize = 3;

/// A deed of a visitor.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// The visitor creates a list.
    Create(usize),
    /// The owner of a list adds a todo.
    Add(usize),
    /// The owner renames a list.
    Rename(usize),
    /// The owner creates a link, and gives it to a visitor.
    Share { list: usize, to: usize, edit: bool },
    /// The owner revokes a link.
    Revoke(usize),
    /// A visitor opens streams of a list, and of all events.
    Watch { visitor: usize, list: usize },
    /// The owner archives a list.
    Archive(usize),
}

pub(super) fn any_deed() -> impl Strategy<Value = Deed> {
    let visitor = 0..VISITORS;
    let list = 0..8_usize;
    prop_oneof![
        2 => visitor.clone().prop_map(Deed::Create),
        4 => list.clone().prop_map(Deed::Add),
        1 => list.clone().prop_map(Deed::Rename),
        3 => (list.clone(), visitor.clone(), any::<bool>())
            .prop_map(|(list, to, edit)| Deed::Share { list, to, edit }),
        2 => list.clone().prop_map(Deed::Revoke),
        3 => (visitor, list.clone()).prop_map(|(visitor, list)| Deed::Watch { visitor, list }),
        1 => list.prop_map(Deed::Archive),
    ]
}
