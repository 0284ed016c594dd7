//! `export`: writes a log to a file, and `reopen`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ironstar_adapters::archive::{Archive, ArchivedEvent};

use super::chain::Chain;
use super::{FORMAT, Line, PAGE, VERSION};
use crate::config::Config;
use crate::output::{complain, say};
use crate::progress::Shown;

/// The export so far.
struct Export {
    to: Box<dyn Write + Send>,
    /// The file, if it is not standard output.
    file: Option<File>,
    chain: Chain,
    /// The last event in the file.
    last: Option<ArchivedEvent>,
}

/// Writes the log to a file, or continues a file of an earlier export. If `closes`, no server can
/// append to the log any more, and the file also gets sessions, secrets, and the keys of commands.
pub(crate) async fn export(config: &Config, path: &Path, closes: bool) -> anyhow::Result<()> {
    let url = config.existing_database()?;
    let mut archive = url.archive().await?;
    // First, so that a file that cannot be continued closes nothing.
    let mut export = Export::open(path)?;
    export.compare(&mut *archive, path).await?;
    if closes {
        archive.close_log().await?;
        complain("the log is closed: from now on, servers refuse commands");
    }
    let written = export.write_all(&mut *archive, closes).await;
    if closes {
        written.context(
            "the export has failed, and the log stays closed: export it again, or open it with \
             'reopen'",
        )?;
    } else {
        written?;
    }
    let position = export.position();
    let all = if closes {
        ", and all sessions, secrets and keys of commands"
    } else {
        ""
    };
    let done = format!("exported all events up to position {position}{all}");
    if export.file.is_some() {
        say(&format!("{done}, to {}", path.display()))?;
    } else {
        complain(&done);
    }
    Ok(())
}

/// Opens a log that was closed by an export.
pub(crate) async fn reopen(config: &Config) -> anyhow::Result<()> {
    let url = config.existing_database()?;
    let was_closed = url.archive().await?.reopen_log().await?;
    say(if was_closed {
        "the log is open again: servers accept commands"
    } else {
        "the log was not closed"
    })?;
    Ok(())
}

impl Export {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Self::begin(Box::new(io::stdout()), None);
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            // It may get secrets.
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write to {}", path.display()))?;
        let mut export = Self {
            to: Box::new(BufWriter::new(file.try_clone()?)),
            file: Some(file),
            chain: Chain::new(),
            last: None,
        };
        if !export.go_to_end().with_context(|| {
            format!("cannot continue {}; export to another file", path.display())
        })? {
            return Self::begin(export.to, export.file);
        }
        Ok(export)
    }

    /// Begins a new file.
    fn begin(to: Box<dyn Write + Send>, file: Option<File>) -> anyhow::Result<Self> {
        let mut export = Self {
            to,
            file,
            chain: Chain::new(),
            last: None,
        };
        export.write(&Line::Start {
            format: FORMAT.to_owned(),
            version: VERSION,
        })?;
        Ok(export)
    }

    /// Reads an existing file, and cuts it off after its last whole event. Returns false if it has
    /// no whole line.
    fn go_to_end(&mut self) -> anyhow::Result<bool> {
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        let mut lines = BufReader::new(&*file);
        let (mut chain, mut offset, mut kept) = (Chain::new(), 0, None);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            lines.read_line(&mut line)?;
            // The last line of an export that was interrupted may be incomplete.
            let Some(whole) = line.strip_suffix('\n') else {
                break;
            };
            offset += line.len() as u64;
            let object = chain
                .unseal(whole)
                .with_context(|| format!("line {number}"))?;
            match serde_json::from_str(&object).with_context(|| format!("line {number}"))? {
                Line::Start { format, version } => {
                    ensure!(
                        format == FORMAT && version == VERSION,
                        "the file has the format {format}, version {version}"
                    );
                    kept = Some((offset, chain.clone()));
                }
                Line::Event(event) => {
                    self.last = Some(*event);
                    kept = Some((offset, chain.clone()));
                }
                Line::Belonging(_) | Line::End { .. } => {}
            }
        }
        let (offset, chain) = match kept {
            Some((offset, chain)) => (offset, Some(chain)),
            None => (0, None),
        };
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        let is_begun = chain.is_some();
        self.chain = chain.unwrap_or_else(Chain::new);
        Ok(is_begun)
    }

    /// Requires that the last event in the file is the same in the database.
    async fn compare(&self, archive: &mut dyn Archive, path: &Path) -> anyhow::Result<()> {
        let Some(last) = &self.last else {
            return Ok(());
        };
        let stored = archive.events(last.position - 1, 1).await?;
        if !stored.first().is_some_and(|stored| stored.is_same(last)) {
            bail!(
                "{} has another event at position {} than the database; export to another file",
                path.display(),
                last.position
            );
        }
        Ok(())
    }

    async fn write_all(&mut self, archive: &mut dyn Archive, closes: bool) -> anyhow::Result<()> {
        let mut head = archive.head().await?;
        let mut progress = Shown::from(self.position());
        loop {
            let events = archive.events(self.position(), PAGE).await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                self.last = Some(event.clone());
                self.write(&Line::Event(Box::new(event)))?;
            }
            head = head.max(self.position());
            let position = self.position();
            let text = format!("export: position {position} of {head}");
            progress.show(&text, position, head, None);
        }
        progress.end();
        if closes {
            for belonging in archive.belongings().await? {
                self.write(&Line::Belonging(belonging))?;
            }
        }
        let position = self.position();
        self.write(&Line::End {
            position,
            is_closed: closes,
        })?;
        self.to.flush().context("the last lines were not written")?;
        if let Some(file) = &self.file {
            file.sync_all().context("the file is not on disk")?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        let line = self.chain.seal(&serde_json::to_string(line)?);
        writeln!(self.to, "{line}").context("a line was not written")
    }

    fn position(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.position)
    }
}
