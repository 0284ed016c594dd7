//! Commands of owners, on any aggregate with an owner: forms and answers about its links.

use ironstar_app::CommandContext;
use ironstar_app::caller::Links;
use ironstar_domain::{Link, LinkAccess, LinkId, Owned, OwnershipCommand};
use serde::{Deserialize, Serialize};

use super::{CommandRequest, keyed_written, written};
use crate::edge::problem::Problem;
use crate::session::origin::RequestOrigin;

/// The fields of the form for a new link.
#[derive(Debug, Deserialize)]
pub struct LinkForm {
    access: String,
    /// The idempotency key: submitting the form twice creates one link.
    #[serde(default)]
    key: String,
}

/// The form's command, as it is stored beside a key. The server, not the form, determines the id
/// of the link.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Asked {
    CreateLink { access: LinkAccess },
}

/// A link to an aggregate, as the aggregate's owner gets it.
#[derive(Debug, Serialize)]
pub struct LinkResponse {
    id: LinkId,
    access: LinkAccess,
    address: String,
}

impl LinkForm {
    /// The command of the form on an aggregate, with its context. `link` is the id of the new link.
    ///
    /// # Errors
    ///
    /// If the access or the key of the form is invalid.
    pub fn command<A: Owned>(
        &self,
        id: &A::Id,
        link: LinkId,
        origin: &RequestOrigin,
    ) -> Result<(A::Command, CommandContext), Problem> {
        let access = match &*self.access {
            "read" => LinkAccess::Read,
            "edit" => LinkAccess::Edit,
            _ => {
                let detail = "'access' must be 'read' or 'edit'";
                return Err(Problem::invalid("invalid-value", detail));
            }
        };
        let (id, asked) = (id.to_string(), Asked::CreateLink { access });
        let asked = [
            written(&(A::TYPE, &id, &asked))?,
            written(&(written_before::<A>(origin), &id, &asked))?,
        ];
        let context = keyed_written(asked, origin.key_or(&self.key)?, origin);
        let command = OwnershipCommand::CreateLink { link, access };
        Ok((command.into(), context))
    }
}

impl LinkResponse {
    /// These links to an aggregate whose page has this address.
    pub fn all<A: Owned>(shown: &[Link], links: &Links, id: &A::Id, page: &str) -> Vec<Self> {
        let shown = shown.iter().map(|link| Self {
            id: link.id,
            access: link.access,
            address: address_of::<A>(links, id, link.id, page),
        });
        shown.collect()
    }
}

/// The address at which a link opens an aggregate, whose page has the address `page`. The address
/// of the page has no query.
pub fn address_of<A: Owned>(links: &Links, id: &A::Id, link: LinkId, page: &str) -> String {
    format!("{page}?link={}", links.token_of::<A>(id, link))
}

/// The context of a program's command on an aggregate with an owner.
///
/// # Errors
///
/// If the request names two different keys.
pub fn context_of<A: Owned, C: Serialize>(
    request: &CommandRequest<A::Id, C>,
    origin: &RequestOrigin,
) -> Result<CommandContext, Problem> {
    request.context_written(A::TYPE, &written_before::<A>(origin), origin)
}

/// The beginning of a stored command from before keys had senders. It names the sender.
fn written_before<A: Owned>(origin: &RequestOrigin) -> String {
    let principal = origin.caller.principal();
    let owner = principal.map(|owner| owner.to_string()).unwrap_or_default();
    format!("{} {owner}", A::TYPE)
}

#[cfg(test)]
mod tests {
    use ironstar_app::{Caller, KeyedRequest};
    use ironstar_domain::{LinkAccess, Principal};
    use ironstar_fixtures::note::NoteState;
    use uuid::Uuid;

    use super::super::CommandRequest;
    use super::{Asked, LinkForm, context_of};
    use crate::session::origin::RequestOrigin;

    const ID: Uuid = Uuid::from_u128(7);

    /// A guest, and a caller without a principal, each with the beginning of its stored commands
    /// from before keys had senders.
    fn senders() -> [(RequestOrigin, &'static str); 2] {
        let guest = Principal::Guest(Uuid::from_u128(1).into());
        let by_guest = RequestOrigin {
            caller: Caller::of(vec![guest]),
            ..RequestOrigin::default()
        };
        let before = "Note guest/00000000-0000-0000-0000-000000000001";
        [(by_guest, before), (RequestOrigin::default(), "Note ")]
    }

    /// The request with this key, as a server of an older version stored it. The server compares
    /// it with the next request.
    fn stored(aggregate: &str, before: &str, rest: &str) -> Option<KeyedRequest> {
        let asked = |beginning| format!(r#"["{beginning}",{rest}]"#);
        let key = "6".parse().expect("a key");
        Some(KeyedRequest::new(key, asked(aggregate)).written_before(asked(before)))
    }

    #[test]
    fn form_is_stored_with_its_note_and_its_command() {
        for (origin, before) in senders() {
            let form = LinkForm {
                access: "edit".to_owned(),
                key: "6".to_owned(),
            };
            let link = Uuid::from_u128(2).into();
            let (_, context) = form
                .command::<NoteState>(&ID, link, &origin)
                .expect("a command");
            let rest = concat!(
                r#""00000000-0000-0000-0000-000000000007","#,
                r#"{"type":"create_link","access":"edit"}"#
            );
            assert_eq!(context.keyed, stored("Note", before, rest));
        }
    }

    #[test]
    fn request_of_a_program_is_stored_with_its_note_and_its_command() {
        for (origin, before) in senders() {
            let access = LinkAccess::Read;
            let request: CommandRequest<Uuid, Asked> = CommandRequest {
                id: Some(ID),
                expected_sequence: None,
                command_id: Some("6".parse().expect("a key")),
                command: Asked::CreateLink { access },
            };
            let context = context_of::<NoteState, _>(&request, &origin).expect("a context");
            let rest = concat!(
                r#""00000000-0000-0000-0000-000000000007",null,"#,
                r#"{"type":"create_link","access":"read"}"#
            );
            assert_eq!(context.keyed, stored("Note", before, rest));
        }
    }
}
