//! The features of the application, and the one place where they register.
//!
//! Each feature is one module and one [`Feature`]. Everything outside of this folder works for
//! any of them.

pub mod list;
pub mod todo;

use crate::access::{AudienceRule, Audiences};
use crate::command::CommandHandler;
use crate::feature::Feature;
use crate::hand_over::{HandOverGuests, HandOvers};
use crate::process::Process;
use crate::projection::{Projections, Registered};

/// All features.
pub const FEATURES: &[Feature] = &[todo::FEATURE, list::FEATURE];

/// The process manager that belongs to no feature.
const HAND_OVER_GUESTS: Registered = Registered::of::<Process<HandOverGuests>>();

/// Every projection and process manager, so that an operator can name it.
pub fn projections() -> impl Iterator<Item = &'static Registered> {
    let features = FEATURES.iter().flat_map(|feature| feature.projections);
    features.chain([&HAND_OVER_GUESTS])
}

/// Hands over what guests own, of all features.
#[must_use]
pub fn hand_overs(commands: &CommandHandler, projections: &Projections) -> HandOvers {
    let kinds = FEATURES.iter().filter_map(|feature| feature.hand_over);
    let kinds = kinds.map(|make| make(commands, projections)).collect();
    HandOvers::new(commands.clone(), kinds)
}

/// The audiences of all events that programs may receive.
#[must_use]
pub fn audiences() -> Audiences {
    let rules = FEATURES.iter().flat_map(|feature| feature.audiences);
    Audiences::new(rules.copied().chain([AudienceRule::user()]))
}

#[cfg(test)]
mod tests {
    use ironstar_domain::list::ListId;
    use ironstar_ports::{Envelope, Metadata, Payload, Position, Sequence, StreamId};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::audiences;
    use crate::access::Audience;

    const ID: Uuid = Uuid::from_u128(7);
    const PARENT: Uuid = Uuid::from_u128(8);

    /// The audience of an event of an aggregate with this parent, as text.
    fn audience(aggregate_type: &str, parent: Option<&str>) -> String {
        let audience = audiences().of(&Envelope {
            position: Position::new(1),
            stream: StreamId::new(aggregate_type, ID.to_string()),
            sequence: Sequence::FIRST,
            event_type: "happened".to_owned(),
            schema_version: 2,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata {
                parent: parent.map(|parent| StreamId::new(parent, PARENT.to_string())),
                ..Metadata::new(ID)
            },
            created_at: OffsetDateTime::UNIX_EPOCH,
        });
        match audience {
            Audience::Of(resource) => resource.to_string(),
            Audience::User(user) => format!("the user {user}"),
            Audience::NoCaller => "no caller".to_owned(),
        }
    }

    #[test]
    fn event_has_the_audience_of_its_aggregate_or_its_list() {
        assert_eq!(audience("List", None), format!("List {ID}"));
        assert_eq!(audience("Todo", Some("List")), format!("List {PARENT}"));
        assert_eq!(audience("Todo", None), format!("List {}", ListId::SHARED));
        assert_eq!(audience("User", None), format!("the user {ID}"));
    }

    #[test]
    fn event_without_a_declared_audience_is_for_no_caller() {
        for (aggregate_type, parent) in [
            ("Todo", Some("Folder")),
            ("Identity", None),
            ("Step", Some("List")),
            ("Invoice", Some("List")),
        ] {
            let audience = audience(aggregate_type, parent);
            assert_eq!(audience, "no caller", "{aggregate_type}");
        }
    }
}
