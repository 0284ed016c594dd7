//! The list's use cases: its commands, and the queries for lists.

use ironstar_domain::list::{ListCommand, ListError, ListEvent, ListId, ListName, ListState};
use ironstar_domain::{Aggregate, Link, OwnedEvent, Ownership, Principal};
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place, Position};
use serde::{Deserialize, Serialize};

use crate::access::AudienceRule;
use crate::codec::decode;
use crate::command::{Accepted, CommandContext, CommandError, CommandHandler};
use crate::feature::Feature;
use crate::hand_over::{ByOwner, hand_over_by};
use crate::projection::{Documents, FoldError, Projection, ReadError, ReadModel, Registered};

/// The list, as it registers.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<ListProjection>()],
    audiences: &[AudienceRule::owned::<ListState>()],
    hand_over: Some(hand_over_by::<ListProjection>),
};

/// Runs the commands and queries on lists.
#[derive(Clone, Debug)]
pub struct ListService {
    commands: CommandHandler,
    model: ReadModel<ListProjection>,
}

/// The projection: a document for each list.
#[derive(Debug)]
pub struct ListProjection;

/// A list, as pages show it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListItem {
    /// The id of the list.
    pub id: ListId,
    /// The name of the list.
    pub name: ListName,
    /// The owner; `None` for a list that belongs to all callers.
    pub owner: Option<Principal>,
    /// The links that give other callers access, the oldest first.
    pub links: Vec<Link>,
    /// True if the list is archived.
    pub archived: bool,
    /// The position of the event that created the list. Lists are in this order.
    pub created: Position,
}

/// A page of lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListPage {
    /// The last event that the page includes.
    pub place: LogPlace,
    /// The lists, in the order of their creation.
    pub lists: Vec<ListItem>,
}

impl ListService {
    /// A service on this handler and this read model.
    #[must_use]
    pub fn new(commands: CommandHandler, model: ReadModel<ListProjection>) -> Self {
        Self { commands, model }
    }

    /// The read model.
    #[must_use]
    pub fn model(&self) -> &ReadModel<ListProjection> {
        &self.model
    }

    /// An id for a new list.
    #[must_use]
    pub fn next_id(&self) -> ListId {
        self.commands.next_id().into()
    }

    /// Runs a command on a list, if the caller owns the list. Any caller may create a list, for
    /// the owner that the command names.
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute`].
    pub async fn execute(
        &self,
        id: ListId,
        command: &ListCommand,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<ListError>> {
        if id.is_shared() {
            return Err(CommandError::Refused(ListError::Shared));
        }
        if matches!(command, ListCommand::Create { .. }) {
            let created = self
                .commands
                .create_owned::<ListState>(&id, command, context);
            return created.await;
        }
        self.commands
            .execute_as_owner::<ListState>(&id, command, context)
            .await
    }

    /// A list, if it exists, with the place that the read model has reached.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn list(&self, id: ListId) -> Result<(LogPlace, Option<ListItem>), ReadError> {
        let found = self.model.find(vec![id.to_string()], None).await?;
        let list = found.keyed.into_iter().next().map(|(_, list)| list);
        Ok((found.place, list))
    }

    /// Up to `limit` lists of these owners, either archived or not, in the order of their
    /// creation. The owner `None` stands for lists that belong to all callers.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn lists(
        &self,
        owners: &[Option<Principal>],
        archived: bool,
        limit: usize,
    ) -> Result<ListPage, ReadError> {
        let owners = owners.iter();
        let page = DocumentPage {
            collections: owners.map(|owner| collection(*owner, archived)).collect(),
            after: None,
            limit,
        };
        let found = self.model.find(Vec::new(), Some(page)).await?;
        Ok(ListPage {
            place: found.place,
            lists: found.page.into_iter().map(|(_, list)| list).collect(),
        })
    }
}

impl Projection for ListProjection {
    const NAME: &'static str = "lists";
    const VERSION: u32 = 2;
    const AGGREGATES: &'static [&'static str] = &[ListState::TYPE];

    type Document = ListItem;

    fn fold(event: &Envelope, documents: &mut Documents<ListItem>) -> Result<(), FoldError> {
        let (id, happened) = decode::<ListState>(event)?;
        let key = id.to_string();
        let list = if let Some(list) = documents.get(&key)?.cloned() {
            list.after(happened)
        } else if let OwnedEvent::Own(ListEvent::Created { name, owner }) = happened {
            ListItem {
                id,
                name,
                owner,
                links: Vec::new(),
                archived: false,
                created: event.position,
            }
        } else {
            return Ok(());
        };
        documents.put(key, list)
    }

    fn place(list: &ListItem) -> Option<Place> {
        Some(Place {
            collection: collection(list.owner, list.archived),
            sort: format!("{:020}", list.created.get()),
        })
    }
}

impl ByOwner for ListProjection {
    type Aggregate = ListState;

    fn collections(owner: Principal) -> Vec<String> {
        [false, true]
            .map(|archived| collection(Some(owner), archived))
            .into()
    }
}

impl ListItem {
    fn after(mut self, event: OwnedEvent<ListEvent>) -> Self {
        match event {
            OwnedEvent::Own(ListEvent::Created { .. }) => {}
            OwnedEvent::Own(ListEvent::Renamed { name }) => self.name = name,
            OwnedEvent::Own(ListEvent::Archived) => self.archived = true,
            OwnedEvent::Own(ListEvent::Restored) => self.archived = false,
            OwnedEvent::Ownership(event) => {
                let (owner, links) = (self.owner, self.links);
                let Ownership { owner, links } = Ownership { owner, links }.apply(&event);
                return Self {
                    owner,
                    links,
                    ..self
                };
            }
        }
        self
    }
}

/// The collection of an owner's lists, either archived or not.
fn collection(owner: Option<Principal>, archived: bool) -> String {
    let state = if archived { "archived" } else { "open" };
    match owner {
        Some(owner) => format!("{state}/{owner}"),
        None => state.to_owned(),
    }
}
