//! The list's use cases: its commands, which lists there are, and when one is
//! put away by itself.

mod archiving;

use std::time::Duration;

use ironstar_domain::{
    Access, Aggregate, Link, ListCommand, ListError, ListEvent, ListId, ListName, ListState,
    Principal,
};
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place, Position};
use serde::{Deserialize, Serialize};

use crate::codec::decode;
use crate::projection::{Behind, Documents, FoldError, Projection, ReadError, ReadModel};
use crate::{Accepted, CommandContext, CommandError, CommandHandler};

pub use archiving::{ArchiveDoneLists, Archiving, ListAt, ListProgress, ListStep};

/// How many lists are handed over together at the most.
const MOST_HANDED_OVER: usize = 10_000;

/// Carries out what is asked of lists.
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
    /// Which list.
    pub id: ListId,
    /// What it is called.
    pub name: ListName,
    /// Whose it is; `None`: everyone's.
    pub owner: Option<Principal>,
    /// The links that let others in, the oldest first.
    pub links: Vec<Link>,
    /// Whether it was put away.
    pub archived: bool,
    /// The position of the event that created it: lists are in this order.
    pub created: Position,
}

/// Some lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListPage {
    /// What it is made of: all events up to here.
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

    /// Carries out a command on a list, if the caller owns it. Anybody may create
    /// one, for whomever the command says.
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
            // Only its owner has any use for the answer.
            let context = CommandContext {
                caller: context.caller.by_session(),
                ..context.clone()
            };
            return self
                .commands
                .execute::<ListState>(&id, command, &context)
                .await;
        }
        // Whose it is must be so when the command is decided.
        let caller = context.caller.clone();
        let admit = move |list: &ListState| match caller.access(id, list) {
            Access::None => Err(ListError::NotFound),
            Access::Read | Access::Edit => Err(ListError::NotOwner),
            Access::Own => Ok(()),
        };
        self.commands
            .execute_if::<ListState>(&id, command, context, &admit)
            .await
    }

    /// Hands all lists of somebody over to somebody else, all or none of them, and
    /// answers how many they were.
    ///
    /// # Errors
    ///
    /// If the read model does not get to know them in time, or the store does not
    /// work.
    pub async fn hand_over_all(
        &self,
        from: Principal,
        to: Principal,
        within: Duration,
        context: &CommandContext,
    ) -> Result<usize, HandOverError> {
        let head = self.commands.head().await?;
        self.model.reach(head, within).await?;
        let mut ids = Vec::new();
        for archived in [false, true] {
            let lists = self
                .lists(&[Some(from)], archived, MOST_HANDED_OVER)
                .await?;
            ids.extend(lists.lists.into_iter().map(|list| list.id));
        }
        let command = ListCommand::HandOver { to };
        let accepted = self
            .commands
            .execute_on_all::<ListState>(&ids, &command, context)
            .await?;
        Ok(accepted.changed)
    }

    /// A list, if it was created, as of a place.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn list(&self, id: ListId) -> Result<(LogPlace, Option<ListItem>), ReadError> {
        let found = self.model.find(vec![id.to_string()], None).await?;
        let list = found.keyed.into_iter().next().map(|(_, list)| list);
        Ok((found.place, list))
    }

    /// Up to `limit` of the lists of these owners that are in use, or that are put
    /// away, in the order of their creation. `None` owns those of everyone.
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

/// Why lists were not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Which lists there are by now is not known yet.
    #[error("the lists are not known yet; try again in a moment")]
    Behind(#[from] Behind),
    /// Which lists there are cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The command had no effect.
    #[error(transparent)]
    Command(#[from] CommandError<ListError>),
}

impl Projection for ListProjection {
    const NAME: &'static str = "lists";
    const VERSION: u32 = 2;
    const AGGREGATES: &'static [&'static str] = &[ListState::TYPE];

    type Document = ListItem;

    fn fold(event: &Envelope, documents: &mut Documents<ListItem>) -> Result<(), FoldError> {
        let (id, happened) = decode::<ListState>(event)?;
        let key = id.to_string();
        let list = match (documents.get(&key)?.cloned(), happened) {
            (None, ListEvent::Created { name, owner }) => ListItem {
                id,
                name,
                owner,
                links: Vec::new(),
                archived: false,
                created: event.position,
            },
            (Some(list), happened) => list.after(happened),
            (
                None,
                ListEvent::Renamed { .. }
                | ListEvent::Archived
                | ListEvent::Restored
                | ListEvent::HandedOver { .. }
                | ListEvent::LinkCreated { .. }
                | ListEvent::LinkRevoked { .. },
            ) => return Ok(()),
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

impl ListItem {
    fn after(self, event: ListEvent) -> Self {
        match event {
            ListEvent::Created { .. } => self,
            ListEvent::Renamed { name } => Self { name, ..self },
            ListEvent::Archived => self.put_away(true),
            ListEvent::Restored => self.put_away(false),
            ListEvent::HandedOver { to } => Self {
                owner: Some(to),
                ..self
            },
            ListEvent::LinkCreated { link: id, access } => {
                let mut links = self.links;
                links.push(Link { id, access });
                Self { links, ..self }
            }
            ListEvent::LinkRevoked { link } => {
                let mut links = self.links;
                links.retain(|known| known.id != link);
                Self { links, ..self }
            }
        }
    }

    fn put_away(self, archived: bool) -> Self {
        Self { archived, ..self }
    }
}

/// The collection of the lists of somebody that are in use, or that are put away.
fn collection(owner: Option<Principal>, archived: bool) -> String {
    let state = if archived { "archived" } else { "open" };
    match owner {
        Some(owner) => format!("{state}/{owner}"),
        None => state.to_owned(),
    }
}
