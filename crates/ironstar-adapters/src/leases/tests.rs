use std::collections::{HashMap, HashSet};

use ironstar_ports::NodeId;
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;

use super::{Assigned, Member, assign};

fn member(id: usize, wanted: impl IntoIterator<Item = usize>) -> Member {
    Member {
        id: NodeId::new(format!("node-{id}")),
        wanted: wanted.into_iter().map(name).collect(),
    }
}

fn name(lease: usize) -> String {
    format!("lease-{lease}")
}

fn lease(lease: usize, holder: Option<usize>) -> Assigned {
    Assigned {
        name: name(lease),
        holder: holder.map(|holder| member(holder, []).id),
    }
}

/// The leases after an assignment.
fn after(members: &[Member], mut leases: Vec<Assigned>) -> Vec<Assigned> {
    for (lease, holder) in assign(members, &leases) {
        leases[lease].holder = holder.map(|holder| members[holder].id.clone());
    }
    leases
}

fn counts(members: &[Member], leases: &[Assigned]) -> Vec<usize> {
    let held = |member: &Member| {
        let of_member = leases
            .iter()
            .filter(|it| it.holder.as_ref() == Some(&member.id));
        of_member.count()
    };
    members.iter().map(held).collect()
}

#[test]
fn leases_of_nodes_that_have_left_are_spread() {
    let members = [member(1, 0..7), member(2, 0..7)];
    let leases = (0..7).map(|number| lease(number, Some(if number < 2 { 1 } else { 3 })));
    let after = after(&members, leases.collect());
    assert_eq!(counts(&members, &after), [4, 3]);
    assert_eq!(after[..2], [lease(0, Some(1)), lease(1, Some(1))]);
}

#[test]
fn lease_that_nobody_wants_has_no_holder() {
    let leases = vec![lease(0, Some(1)), lease(1, Some(2)), lease(2, None)];
    let after = after(&[member(1, [5])], leases);
    assert_eq!(after, [lease(0, None), lease(1, None), lease(2, None)]);
}

#[test]
fn ten_thousand_leases_are_assigned_in_a_few_rounds() {
    const LEASES: usize = 10_000;
    let members: Vec<_> = (0..10).map(|id| member(id, 0..LEASES)).collect();
    let free: Vec<_> = (0..LEASES).map(|number| lease(number, None)).collect();
    let first = after(&members, free);
    assert_eq!(counts(&members, &first), [LEASES / 10; 10]);
    // One node leaves: only its leases move.
    let rest = &members[1..];
    let moves = assign(rest, &first);
    assert_eq!(moves.len(), LEASES / 10);
    // A node joins: it gets its share and nothing else moves.
    let second = after(rest, first);
    assert_eq!(assign(&members, &second).len(), LEASES / 10);
}

proptest! {
    #[test]
    fn wanted_leases_have_holders_and_no_move_would_spread_them_better(
        wanted in vec(hash_set(0_usize..12, 0..12), 0..6),
        holders in vec(proptest::option::of(0_usize..8), 12),
    ) {
        let members: Vec<_> = wanted.into_iter().enumerate().map(|(id, wanted)| member(id, wanted)).collect();
        let leases: Vec<_> = holders.into_iter().enumerate().map(|(number, holder)| lease(number, holder)).collect();
        let after = after(&members, leases);
        let counts = counts(&members, &after);
        let index: HashMap<&NodeId, usize> = members.iter().enumerate().map(|(index, member)| (&member.id, index)).collect();
        for lease in &after {
            let wanting: HashSet<usize> = (0..members.len()).filter(|member| members[*member].wanted.contains(&lease.name)).collect();
            let holder = lease.holder.as_ref().map(|holder| index[holder]);
            match holder {
                None => prop_assert!(wanting.is_empty()),
                Some(holder) => {
                    prop_assert!(wanting.contains(&holder));
                    let idlest = wanting.iter().map(|member| counts[*member]).min();
                    prop_assert!(idlest.is_some_and(|idlest| counts[holder] < idlest + 2));
                }
            }
        }
        prop_assert_eq!(assign(&members, &after), vec![]);
    }
}
