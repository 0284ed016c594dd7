//! The assignment of leases to nodes, which is the same for every technology.

use std::collections::HashSet;

use ironstar_ports::NodeId;

/// A running node.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    /// The names of the leases that the node can hold.
    pub(crate) wanted: HashSet<String>,
}

/// A lease, with its holder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Assigned {
    pub(crate) name: String,
    pub(crate) holder: Option<NodeId>,
}

/// A lease that gets another holder, by index, and the new holder, by index.
pub(crate) type Move = (usize, Option<usize>);

/// Returns the leases that get another holder.
///
/// After that, every lease that a member wants has a holder that wants it, and no lease can move
/// to a member that holds at least two leases fewer. As few leases move as that needs: each move
/// makes the sum of the squared numbers of leases smaller, so moving comes to an end.
pub(crate) fn assign(members: &[Member], leases: &[Assigned]) -> Vec<Move> {
    let mut holders: Vec<Option<usize>> = leases
        .iter()
        .map(|lease| {
            let holder = lease.holder.as_ref()?;
            let is_holder = |member: &Member| member.id == *holder;
            let holder = members.iter().position(is_holder)?;
            members[holder]
                .wanted
                .contains(&lease.name)
                .then_some(holder)
        })
        .collect();
    let mut loads = vec![0_usize; members.len()];
    for holder in holders.iter().flatten() {
        loads[*holder] += 1;
    }
    let idlest = |lease: &Assigned, loads: &[usize]| {
        let wants = |member: &usize| members[*member].wanted.contains(&lease.name);
        let wanting = (0..members.len()).filter(wants);
        wanting.min_by_key(|member| loads[*member])
    };
    // First the leases without a holder, which make the numbers more equal by themselves.
    for (lease, holder) in leases.iter().zip(&mut holders) {
        if holder.is_none() {
            *holder = idlest(lease, &loads);
            holder.iter().for_each(|holder| loads[*holder] += 1);
        }
    }
    let mut is_moving = true;
    while is_moving {
        is_moving = false;
        for (lease, holder) in leases.iter().zip(&mut holders) {
            if let (Some(from), Some(to)) = (*holder, idlest(lease, &loads))
                && loads[from] >= loads[to] + 2
            {
                loads[from] -= 1;
                loads[to] += 1;
                *holder = Some(to);
                is_moving = true;
            }
        }
    }
    let holders = holders.into_iter().enumerate();
    let is_new = |(lease, holder): &Move| {
        leases[*lease].holder.as_ref() != holder.map(|holder| &members[holder].id)
    };
    holders.filter(is_new).collect()
}

#[cfg(test)]
mod tests;
