//! The list's use cases: its commands, which lists there are, and when one is
//! put away by itself.

mod archiving;

use ironstar_domain::{Aggregate, ListCommand, ListError, ListEvent, ListId, ListName, ListState};
use ironstar_ports::{DocumentPage, Envelope, Place, Position};
use serde::{Deserialize, Serialize};

use crate::codec::decode;
use crate::projection::{Documents, FoldError, Projection, ReadError, ReadModel};
use crate::{Accepted, CommandContext, CommandError, CommandHandler};

pub use archiving::{ArchiveDoneLists, Archiving, ListAt, ListProgress, ListStep};

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
    /// Whether it was put away.
    pub archived: bool,
    /// The position of the event that created it: lists are in this order.
    pub created: Position,
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

    /// Carries out a command on a list.
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
        self.commands
            .execute::<ListState>(&id, command, context)
            .await
    }

    /// A list, if it was created.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn list(&self, id: ListId) -> Result<Option<ListItem>, ReadError> {
        let found = self.model.find(vec![id.to_string()], None).await?;
        Ok(found.keyed.into_iter().next().map(|(_, list)| list))
    }

    /// Up to `limit` of the lists in use, or of those put away, in the order of
    /// their creation.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn lists(&self, archived: bool, limit: usize) -> Result<Vec<ListItem>, ReadError> {
        let page = DocumentPage {
            collections: vec![collection(archived).to_owned()],
            after: None,
            limit,
        };
        let found = self.model.find(Vec::new(), Some(page)).await?;
        Ok(found.page.into_iter().map(|(_, list)| list).collect())
    }
}

impl Projection for ListProjection {
    const NAME: &'static str = "lists";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[ListState::TYPE];

    type Document = ListItem;

    fn fold(event: &Envelope, documents: &mut Documents<ListItem>) -> Result<(), FoldError> {
        let (id, happened) = decode::<ListState>(event)?;
        let key = id.to_string();
        let list = match (documents.get(&key)?.cloned(), happened) {
            (None, ListEvent::Created { name }) => ListItem {
                id,
                name,
                archived: false,
                created: event.position,
            },
            (Some(list), ListEvent::Renamed { name }) => ListItem { name, ..list },
            (Some(list), ListEvent::Archived) => ListItem {
                archived: true,
                ..list
            },
            (Some(list), ListEvent::Restored) => ListItem {
                archived: false,
                ..list
            },
            (Some(_), ListEvent::Created { .. })
            | (None, ListEvent::Renamed { .. } | ListEvent::Archived | ListEvent::Restored) => {
                return Ok(());
            }
        };
        documents.put(key, list)
    }

    fn place(list: &ListItem) -> Option<Place> {
        Some(Place {
            collection: collection(list.archived).to_owned(),
            sort: format!("{:020}", list.created.get()),
        })
    }
}

fn collection(archived: bool) -> &'static str {
    if archived { "archived" } else { "open" }
}
