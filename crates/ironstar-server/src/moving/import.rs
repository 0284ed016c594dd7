//! `import`: reads a log from a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ironstar_adapters::archive::{Archive, ArchivedEvent, Belonging};

use super::chain::Chain;
use super::{FORMAT, Line, PAGE, VERSION};
use crate::config::Config;
use crate::output::say;
use crate::progress::Shown;

/// The longest line, which is far longer than an event can be.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The lines of a file, checked.
struct Lines {
    from: Box<dyn BufRead + Send>,
    chain: Chain,
    number: u64,
    /// The number of bytes that were read, and of all, as far as it is known.
    read: u64,
    all: u64,
}

/// The end of a file.
struct End {
    position: u64,
    is_closed: bool,
    belongings: Vec<Belonging>,
}

/// Reads a log from a file into a database that is empty, or has the first events of the file.
pub(crate) async fn import(config: &Config, path: &Path) -> anyhow::Result<()> {
    let mut lines = Lines::open(path)?;
    lines.start()?;
    let url = &config.database_url;
    let mut archive = url.archive().await?;
    let before = archive.head().await?;
    let end = events(&mut lines, &mut *archive, before).await;
    let end = end.with_context(|| format!("{} cannot be imported", path.display()))?;
    archive.restore_belongings(&end.belongings).await?;
    let after = archive.head().await?;
    ensure!(
        after == end.position,
        "the database has more events than the file, which ends at position {}: something else \
         has appended to it",
        end.position
    );
    let all = if end.is_closed {
        ", and all sessions, secrets and keys of commands"
    } else {
        ". The file has no sessions, secrets and keys of commands: visitors are strangers, and \
         links are void. For a move, use 'export --close'"
    };
    say(&format!(
        "imported {} events, up to position {after}{all}",
        after - before
    ))?;
    Ok(())
}

/// Stores the events that the database does not have, and returns what follows them.
async fn events(lines: &mut Lines, archive: &mut dyn Archive, head: u64) -> anyhow::Result<End> {
    let mut page: Vec<ArchivedEvent> = Vec::new();
    let mut belongings = Vec::new();
    let mut position = 0;
    let mut progress = Shown::from(0);
    while let Some(line) = lines.next()? {
        match line {
            Line::Start { .. } => bail!("line {}: a second first line", lines.number),
            Line::Event(event) => {
                ensure!(
                    event.position == position + 1,
                    "line {}: the event at position {} does not follow position {position}",
                    lines.number,
                    event.position
                );
                position = event.position;
                if position == head {
                    let stored = archive.events(head - 1, 1).await?;
                    ensure!(
                        stored.first().is_some_and(|stored| stored.is_same(&event)),
                        "the database has another event at position {head}: import into an empty one"
                    );
                }
                if position > head {
                    page.push(*event);
                }
            }
            Line::Belonging(belonging) => belongings.push(belonging),
            Line::End {
                position: last,
                is_closed,
            } => {
                store(archive, &mut page, lines, &mut progress).await?;
                progress.end();
                ensure!(last == position, "events are missing before the last line");
                ensure!(
                    position >= head,
                    "the database has events up to position {head}, and the file only up to \
                     {position}"
                );
                return Ok(End {
                    position,
                    is_closed,
                    belongings,
                });
            }
        }
        if page.len() >= PAGE as usize {
            store(archive, &mut page, lines, &mut progress).await?;
        }
    }
    store(archive, &mut page, lines, &mut progress).await?;
    progress.end();
    bail!(
        "it ends at position {position}, without the last line of a complete export. Its events are \
         in the database now. Export again, to the same file, and import it again"
    )
}

async fn store(
    archive: &mut dyn Archive,
    page: &mut Vec<ArchivedEvent>,
    lines: &Lines,
    progress: &mut Shown,
) -> anyhow::Result<()> {
    if let Some(last) = page.last() {
        let text = format!("import: position {}", last.position);
        archive.restore(page).await?;
        page.clear();
        progress.show(&text, lines.read, lines.all.max(lines.read), None);
    }
    Ok(())
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let (from, all): (Box<dyn BufRead + Send>, u64) = if path == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), 0)
        } else {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            let all = file.metadata()?.len();
            (Box::new(BufReader::new(file)), all)
        };
        Ok(Self {
            from,
            chain: Chain::new(),
            number: 0,
            read: 0,
            all,
        })
    }

    /// Reads the first line.
    fn start(&mut self) -> anyhow::Result<()> {
        let first = self.next().context("this is not the export of a log")?;
        match first {
            Some(Line::Start { format, version }) if format == FORMAT => {
                ensure!(
                    version == VERSION,
                    "the file has version {version} of the format, which a newer program has written"
                );
                Ok(())
            }
            Some(_) | None => bail!("this is not the export of a log"),
        }
    }

    /// The next line; `None` at the end of the file, or at an incomplete line.
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let mut line = String::new();
        self.number += 1;
        let at = || format!("line {}", self.number);
        let limited = &mut io::Read::take(&mut self.from, LONGEST);
        limited.read_line(&mut line).with_context(at)?;
        let Some(whole) = line.strip_suffix('\n') else {
            ensure!((line.len() as u64) < LONGEST, "{}: it is too long", at());
            return Ok(None);
        };
        self.read += line.len() as u64;
        let object = self.chain.unseal(whole).with_context(at)?;
        Ok(Some(serde_json::from_str(&object).with_context(at)?))
    }
}
