//! The stand-in as a program, for tests in browsers.

use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use ironstar_github::{Registration, StandIn};

/// A stand-in for GitHub, to test sign-in against.
#[derive(Debug, Parser)]
#[command(name = "ironstar-github", version)]
struct Options {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Client id of the application
    #[arg(long)]
    client_id: String,

    /// Client secret of the application
    #[arg(long, env = "STAND_IN_SECRET", hide_env_values = true)]
    client_secret: String,

    /// Address to which browsers are sent back
    #[arg(long)]
    redirect_url: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, there is no other place to report the error.
            let _ = writeln!(stderr(), "ironstar-github: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    if !options.listen.ip().is_loopback() {
        bail!("a stand-in serves this machine only; choose a loopback address with --listen");
    }
    let registration = Registration {
        client_id: options.client_id,
        client_secret: options.client_secret,
        redirect_url: options.redirect_url,
    };
    let stand_in = StandIn::start_at(options.listen, registration)
        .await
        .with_context(|| {
            let address = options.listen;
            format!("cannot listen on {address}; choose another port with --listen")
        })?;
    writeln!(stdout(), "stand-in is ready at {}", stand_in.url())?;
    std::future::pending().await
}
