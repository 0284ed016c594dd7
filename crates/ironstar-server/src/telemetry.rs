//! The log, on standard error.

use std::env::{self, VarError};
use std::io::IsTerminal;

use anyhow::{Context, bail};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;
use crate::output::{Form, Log};

/// The filter of the log unless `RUST_LOG` is set. An embedded bus has no peers to exchange
/// routes with, and Zenoh warns about that at every start.
const DEFAULT_FILTER: &str = "info,zenoh=warn,zenoh::net::routing::hat=error";

/// Always part of the filter. On a finer level, this part of Zenoh logs its configuration with
/// the password.
const SILENT: &str = "zenoh::api::session=warn";

/// Starts the log.
///
/// # Errors
///
/// If `RUST_LOG` is not a valid filter.
pub(crate) fn init(format: LogFormat) -> anyhow::Result<()> {
    let filter = filter()?.add_directive(SILENT.parse()?);
    let is_terminal = std::io::stderr().is_terminal();
    let form = match format {
        LogFormat::Json => Form::Json,
        LogFormat::Text if is_terminal => Form::Coloured,
        LogFormat::Text => Form::Text,
    };
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(Log { form })
        .with_ansi(is_terminal)
        // The reader of the log may be gone. That is no reason to fail.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The filter from `RUST_LOG`, or the default one.
fn filter() -> anyhow::Result<EnvFilter> {
    match env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.trim().is_empty() => EnvFilter::try_new(&filter).with_context(|| {
            format!("RUST_LOG is '{filter}', which is not a valid filter; set it to a level such as 'debug', or to 'info,ironstar_app=trace'")
        }),
        Ok(_) | Err(VarError::NotPresent) => Ok(DEFAULT_FILTER.into()),
        Err(VarError::NotUnicode(filter)) => {
            bail!("RUST_LOG is {filter:?}, which is not UTF-8; set it to a level such as 'debug'")
        }
    }
}
