//! The operator's view of the servers that share a database.

use std::sync::Arc;

use ironstar_adapters::database::Stores;
use ironstar_adapters::system::SystemClock;
use ironstar_ports::{NodeAbout, NodeStatus, Position};
use time::format_description::well_known::Rfc3339;

use crate::config::Config;
use crate::output::say;

/// The columns of the list, without the leases, which follow in lines of their own.
const HEADINGS: [&str; 6] = [
    "host",
    "address",
    "version",
    "started",
    "last report",
    "behind",
];

/// What this node tells others of itself.
pub(crate) fn about(version: &str, address: String) -> NodeAbout {
    let uname = rustix::system::uname();
    NodeAbout {
        version: version.to_owned(),
        host: uname.nodename().to_string_lossy().into_owned(),
        address,
    }
}

/// Lists the servers that share the database.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let url = config.existing_database()?;
    let clock = Arc::new(SystemClock);
    let stores = url.open(clock, config.command_retention()).await?;
    let outcome = list(&stores).await;
    stores.close().await?;
    outcome
}

async fn list(stores: &Stores) -> anyhow::Result<()> {
    let Some(leases) = &stores.leases else {
        say("a SQLite file knows no nodes: each server that opens it does everything")?;
        return Ok(());
    };
    let nodes = leases.nodes().await?;
    let head = stores.events.head().await?;
    say(&format!("the log ends at position {head}"))?;
    if nodes.is_empty() {
        say("no server runs on this database")?;
        return Ok(());
    }
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(nodes.iter().map(|node| row(node, head)));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    let mut lines = lines.collect::<Vec<_>>().into_iter();
    say(&lines.next().unwrap_or_default())?;
    for (line, node) in lines.zip(&nodes) {
        say(&line)?;
        for lease in &node.leases {
            say(&format!("    {lease}"))?;
        }
    }
    Ok(())
}

/// The cells of a node, in the order of [`HEADINGS`].
fn row(node: &NodeStatus, head: Position) -> [String; HEADINGS.len()] {
    let NodeAbout {
        version,
        host,
        address,
    } = node.about.clone();
    let started = node.started_at.format(&Rfc3339);
    let silent = node.silent_for;
    let reported = if node.is_running {
        format!("{:.1} s ago", silent.as_secs_f64())
    } else {
        format!("{} s ago, gone", silent.as_secs())
    };
    let behind = match head.get().saturating_sub(node.position.get()) {
        0 => "up to date".to_owned(),
        1 => "1 event".to_owned(),
        events => format!("{events} events"),
    };
    [
        host,
        address,
        version,
        started.unwrap_or_else(|_| node.started_at.to_string()),
        reported,
        behind,
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ironstar_ports::NodeId;
    use time::OffsetDateTime;

    use super::*;

    fn node(silent_for: Duration, position: u64) -> NodeStatus {
        NodeStatus {
            id: NodeId::new("a"),
            about: about("1.2.3", "127.0.0.1:3000".to_owned()),
            started_at: OffsetDateTime::UNIX_EPOCH,
            silent_for,
            is_running: silent_for < Duration::from_secs(3),
            position: Position::new(position),
            leases: Vec::new(),
        }
    }

    #[test]
    fn node_shows_its_silence_and_its_distance_to_the_end_of_the_log() {
        let shown = |silent_for, position| {
            let [_, address, version, started, reported, behind] = row(
                &node(Duration::from_millis(silent_for), position),
                Position::new(9),
            );
            assert_eq!(
                [address, version, started],
                ["127.0.0.1:3000", "1.2.3", "1970-01-01T00:00:00Z"]
            );
            format!("{reported}, {behind}")
        };
        assert_eq!(shown(420, 9), "0.4 s ago, up to date");
        assert_eq!(shown(2_900, 8), "2.9 s ago, 1 event");
        assert_eq!(shown(30_500, 0), "30 s ago, gone, 9 events");
        // The log can have grown after the node was read, but not the other way round.
        assert_eq!(shown(0, 10), "0.0 s ago, up to date");
    }

    #[test]
    fn node_knows_the_name_of_its_machine() {
        assert!(!about("1", String::new()).host.is_empty());
    }
}
