use uuid::Uuid;

use super::{Ownership, OwnershipCommand, OwnershipError, OwnershipEvent};
use crate::{Access, DomainError, LinkAccess, LinkId, OwnedEvent, Principal, Refusal};

fn link(number: u128) -> LinkId {
    Uuid::from_u128(number).into()
}

#[test]
fn access_follows_from_the_owner_and_the_links() {
    let guest = Principal::Guest(Uuid::from_u128(1).into());
    let user = Principal::User(Uuid::from_u128(2).into());
    let mut ownership = Ownership::of(Some(guest));
    for (id, access) in [(1, LinkAccess::Read), (2, LinkAccess::Edit)] {
        let link = link(id);
        ownership = ownership.apply(&OwnershipEvent::LinkCreated { link, access });
    }
    let no_principals: &[Principal] = &[];
    for (caller, link, access) in [
        (no_principals, None, Access::None),
        (no_principals, Some(3), Access::None),
        (no_principals, Some(1), Access::Read),
        (no_principals, Some(2), Access::Edit),
        (&[user], None, Access::None),
        (&[user], Some(2), Access::Edit),
        (&[user, guest], None, Access::Own),
        (&[guest], Some(1), Access::Own),
    ] {
        assert_eq!(
            ownership.access(caller, link.map(self::link)),
            access,
            "{caller:?} {link:?}"
        );
    }
    // Everyone owns what has no owner.
    ownership.owner = None;
    assert_eq!(ownership.access(no_principals, None), Access::Own);
    assert!(
        Access::None < Access::Read && Access::Read < Access::Edit && Access::Edit < Access::Own
    );
}

#[test]
fn link_that_is_created_again_keeps_its_access() {
    let created = |access| OwnershipEvent::LinkCreated {
        link: link(1),
        access,
    };
    let once = Ownership::default().apply(&created(LinkAccess::Read));
    assert_eq!(once.links.len(), 1);
    assert_eq!(once.clone().apply(&created(LinkAccess::Edit)), once);
}

#[test]
fn ownership_takes_no_more_links_than_the_limit() {
    let access = LinkAccess::Read;
    let create = |number| OwnershipCommand::CreateLink {
        link: link(number),
        access,
    };
    let mut ownership = Ownership::default();
    let mut decide = |command| {
        let events = ownership.handle::<()>(&command, "a list")?;
        for event in events {
            let OwnedEvent::Ownership(event) = event else {
                panic!("{event:?} is of another kind");
            };
            ownership = ownership.clone().apply(&event);
        }
        Ok(ownership.links.len())
    };
    for number in 1..=Ownership::MAX_LINKS {
        assert_eq!(decide(create(number as u128)), Ok(number));
    }
    let noun = "a list";
    let refused = Err(OwnershipError::TooManyLinks { noun });
    assert_eq!(decide(create(100)), refused);
    let revoke = OwnershipCommand::RevokeLink { link: link(1) };
    assert_eq!(decide(revoke), Ok(Ownership::MAX_LINKS - 1));
    assert_eq!(decide(create(100)), Ok(Ownership::MAX_LINKS));
}

#[test]
fn refusal_names_the_aggregate() {
    let noun = "a list";
    for (refusal, expected, message) in [
        (
            OwnershipError::NotOwner { noun },
            Refusal::forbidden("not-the-owner"),
            "only the owner of this list can do that",
        ),
        (
            OwnershipError::LinkAlreadyExists,
            Refusal::conflict("link-already-exists"),
            "this link already exists",
        ),
        (
            OwnershipError::TooManyLinks { noun },
            Refusal::conflict("too-many-links"),
            "a list has at most 20 links; revoke one that is not needed any more",
        ),
        (
            OwnershipError::NoSuchLink { noun },
            Refusal::not_found("link-not-found"),
            "this list has no such link",
        ),
    ] {
        assert_eq!(refusal.refusal(), expected);
        assert_eq!(refusal.to_string(), message);
    }
}
