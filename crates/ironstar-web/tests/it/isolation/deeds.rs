//! What visitors do.

use proptest::prelude::*;

/// How many there are.
pub(super) const VISITORS: usize = 3;

/// What somebody does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A list is made.
    Create(usize),
    /// A todo is put into a list, by its owner.
    Add(usize),
    /// A list is called something else.
    Rename(usize),
    /// A link is made, and handed to somebody.
    Share { list: usize, to: usize, edit: bool },
    /// A link is revoked.
    Revoke(usize),
    /// Somebody opens streams of a list, and of everything.
    Watch { visitor: usize, list: usize },
    /// A list is put away.
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
