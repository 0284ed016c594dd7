//! The callers and their deeds.

use ironstar_app::Caller;
use ironstar_domain::{LinkAccess, Principal};
use proptest::prelude::*;
use uuid::Uuid;

/// A caller of a history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Player {
    Anonymous,
    Guest(u128),
    User(u128),
    /// The user with this number, on the device on which it was the guest with this number.
    FormerGuest(u128),
    Application,
}

/// All callers of a history.
pub(super) const CALLERS: [Player; 7] = [
    Player::Anonymous,
    Player::Guest(1),
    Player::Guest(2),
    Player::User(1),
    Player::User(2),
    Player::FormerGuest(1),
    Player::Application,
];

/// An owner that is none of the callers.
pub(super) const STRANGER: Player = Player::User(3);

/// A deed. Numbers of aggregates and links count in turn through those that there are.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// The caller creates an aggregate.
    Create(Player),
    /// The owner renames an aggregate.
    Rename(usize),
    /// The owner creates a link, and gives it to a caller.
    Share {
        item: usize,
        to: Player,
        access: LinkAccess,
    },
    /// The owner revokes a link.
    Revoke(usize),
    /// The owner hands an aggregate over.
    HandOver { item: usize, to: Player },
    /// Something happens to a part of an aggregate, and to a part of its twin.
    Part(usize),
    /// Something happens to an aggregate without a declared audience.
    Elsewhere,
}

impl Player {
    pub(super) fn principals(self) -> Vec<Principal> {
        let guest = |number| Principal::Guest(Uuid::from_u128(number).into());
        let user = |number| Principal::User(Uuid::from_u128(number).into());
        match self {
            Self::Anonymous | Self::Application => vec![],
            Self::Guest(number) => vec![guest(number)],
            Self::User(number) => vec![user(number)],
            Self::FormerGuest(number) => vec![user(number), guest(number)],
        }
    }

    pub(super) fn caller(self) -> Caller {
        match self {
            Self::Application => Caller::application("test"),
            Self::Anonymous | Self::Guest(_) | Self::User(_) | Self::FormerGuest(_) => {
                Caller::of(self.principals())
            }
        }
    }
}

pub(super) fn any_deed() -> impl Strategy<Value = Deed> {
    let player = prop::sample::select(CALLERS.to_vec());
    let item = 0..3_usize;
    let access = prop::sample::select(vec![LinkAccess::Read, LinkAccess::Edit]);
    prop_oneof![
        3 => player.clone().prop_map(Deed::Create),
        2 => item.clone().prop_map(Deed::Rename),
        4 => (item.clone(), player.clone(), access)
            .prop_map(|(item, to, access)| Deed::Share { item, to, access }),
        2 => (0..6_usize).prop_map(Deed::Revoke),
        2 => (item.clone(), player).prop_map(|(item, to)| Deed::HandOver { item, to }),
        2 => item.prop_map(Deed::Part),
        1 => Just(Deed::Elsewhere),
    ]
}

/// A history in which rights are given, used, ended and given again. A deed is marked if all
/// callers ask at once.
pub(super) fn certain_deeds() -> Vec<(Deed, bool)> {
    let (owner, other) = (Player::Guest(1), Player::User(2));
    let share = |item, access| Deed::Share {
        item,
        to: other,
        access,
    };
    let hand_over = |to| Deed::HandOver { item: 0, to };
    vec![
        (Deed::Create(owner), false),
        (Deed::Create(Player::User(1)), false),
        (Deed::Create(Player::Anonymous), false),
        (share(0, LinkAccess::Read), false),
        (share(0, LinkAccess::Edit), false),
        (share(1, LinkAccess::Edit), false),
        (Deed::Rename(0), false),
        (Deed::Elsewhere, false),
        (Deed::Part(0), false),
        (Deed::Part(0), true),
        (Deed::Revoke(0), false),
        (hand_over(other), false),
        (hand_over(owner), false),
        (Deed::Revoke(1), false),
    ]
}
