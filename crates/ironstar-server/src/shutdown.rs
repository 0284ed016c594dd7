//! When to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where Linux says which signals a process ignores.
const STATUS: &str = "/proc/self/status";

/// A token that is cancelled by Ctrl-C, SIGTERM, or SIGHUP, which comes when the
/// terminal goes. If SIGHUP was ignored at the start, as `nohup` has it, it stays so.
pub(crate) fn on_signal() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = match is_ignored(SignalKind::hangup()) {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    Ok(shutdown)
}

/// Whether the parent of this process has had a signal ignored. Where that cannot be
/// known, it is not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string(STATUS).unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit is that of the first signal.
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
