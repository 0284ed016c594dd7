//! `projections status`: the position of each read model, and its failure, if any.

use ironstar_app::process::ToDo;
use ironstar_ports::{Build, BuildState, Position};

use super::Open;
use crate::output::say;
use crate::progress::share;

impl Open {
    /// Shows all builds.
    pub(super) async fn status(&self) -> anyhow::Result<()> {
        let head = self.stores.events.head().await?;
        let builds = self.builds().builds().await?;
        say(&format!("the log ends at position {head}"))?;
        for build in &builds {
            for line in self.describe(build, head).await? {
                say(&line)?;
            }
        }
        if builds.is_empty() {
            say("no read model is built yet; a server builds them when it starts")?;
        }
        Ok(())
    }

    /// Describes a build, in lines.
    async fn describe(&self, build: &Build, head: Position) -> anyhow::Result<Vec<String>> {
        let state = match build.state {
            BuildState::Live => "live",
            BuildState::Building => "in progress",
            BuildState::Cancelled => "cancelled",
        };
        let (name, version) = (&build.name, build.version);
        let known = self
            .features
            .projections()
            .find(|known| known.name == *name);
        let position = match known.filter(|known| known.version == version) {
            Some(known) => known.position(build, &*self.stores.events).await?,
            None => build.checkpoint.position,
        };
        let done = share(position.get(), head.get());
        let end = if position >= head { ", up to date" } else { "" };
        let mut lines = vec![format!(
            "{name}, version {version}: {state}, at position {position} ({done} %){end}"
        )];
        if let Some(failure) = &build.failure {
            lines.push(format!(
                "    stuck at position {}, a {:?} event: {} (tried {} times, last at {})",
                failure.position,
                failure.event_type,
                failure.reason,
                failure.attempts,
                failure.failed_at,
            ));
        }
        if known.is_some_and(|known| known.is_process) {
            let ToDo { steps, timers } = ToDo::of(build.id, self.builds()).await?;
            lines.push(format!(
                "    pending: {}, {}",
                counted(steps, "step"),
                counted(timers, "timer")
            ));
        }
        lines.extend(build.skipped.iter().map(|skipped| {
            format!(
                "    skipped position {}, a {:?} event: {}",
                skipped.position, skipped.event_type, skipped.reason
            )
        }));
        Ok(lines)
    }
}

/// Formats a count, which ends at [`ToDo::MOST`].
fn counted(count: usize, of: &str) -> String {
    match count {
        1 => format!("1 {of}"),
        ToDo::MOST.. => format!("{} {of}s or more", ToDo::MOST),
        _ => format!("{count} {of}s"),
    }
}
