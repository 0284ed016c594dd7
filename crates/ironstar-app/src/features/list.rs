//! The list's use cases: its commands, and the queries for lists.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_domain::list::{ListCommand, ListError, ListEvent, ListId, ListName, ListState};
use ironstar_domain::{Aggregate, Link, Principal};
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place, Position};
use serde::{Deserialize, Serialize};

use crate::access::AudienceRule;
use crate::codec::decode;
use crate::command::{Accepted, CommandContext, CommandError, CommandHandler};
use crate::feature::Feature;
use crate::hand_over::HandOver;
use crate::process::NotExecuted;
use crate::projection::{
    Behind, Documents, FoldError, Projection, ReadError, ReadModel, Registered,
};

/// The list, as it registers.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<ListProjection>()],
    audiences: &[AudienceRule::owned::<ListState>()],
    hand_over: Some(|commands, projections| {
        Arc::new(ListService::new(commands.clone(), projections.model()))
    }),
};

/// The maximum number of lists that one command hands over.
const MOST_HANDED_OVER: usize = 10_000;

/// The time that a hand-over waits for the read model.
const CATCH_UP: Duration = Duration::from_secs(2);

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

    /// Hands over all lists of one owner to another, all or none. Returns the number of lists.
    ///
    /// # Errors
    ///
    /// If the read model does not reach the log's end in time, or the store fails.
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
        let command = ListCommand::HandOver {
            from: Some(from),
            to,
        };
        let accepted = self
            .commands
            .execute_on_all::<ListState>(&ids, &command, context)
            .await?;
        Ok(accepted.changed)
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

impl HandOver for ListService {
    fn hand_over<'a>(
        &'a self,
        from: Principal,
        to: Principal,
        context: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotExecuted>> {
        async move {
            self.hand_over_all(from, to, CATCH_UP, context).await?;
            Ok(())
        }
        .boxed()
    }
}

impl From<HandOverError> for NotExecuted {
    fn from(error: HandOverError) -> Self {
        match error {
            HandOverError::Command(error) => error.into(),
            HandOverError::Behind(_) | HandOverError::Read(_) => Self::Failed(error.into()),
        }
    }
}

/// The reason why lists were not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The read model is still behind.
    #[error("the lists are not up to date yet; try again in a moment")]
    Behind(#[from] Behind),
    /// The lists cannot be read.
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
        let list = if let Some(list) = documents.get(&key)?.cloned() {
            list.after(happened)
        } else if let ListEvent::Created { name, owner } = happened {
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

impl ListItem {
    fn after(self, event: ListEvent) -> Self {
        match event {
            ListEvent::Created { .. } => self,
            ListEvent::Renamed { name } => Self { name, ..self },
            ListEvent::Archived => self.with_archived(true),
            ListEvent::Restored => self.with_archived(false),
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

    fn with_archived(self, archived: bool) -> Self {
        Self { archived, ..self }
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
