//! The stand-in as a program, for tests in browsers.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::Parser;
use ironstar_github::{Registration, StandIn};

/// A GitHub to test sign-in against.
#[derive(Debug, Parser)]
#[command(name = "ironstar-github", version)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// What the application is known by
    #[arg(long)]
    client_id: String,

    /// The application's secret
    #[arg(long, env = "STAND_IN_SECRET", hide_env_values = true)]
    client_secret: String,

    /// Where browsers are sent back to
    #[arg(long)]
    redirect_url: String,
}

#[expect(clippy::print_stdout, reason = "tests wait for this")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.listen.ip().is_loopback() {
        bail!("a stand-in is for this machine only: choose a loopback address to listen on");
    }
    let registration = Registration {
        client_id: options.client_id,
        client_secret: options.client_secret,
        redirect_url: options.redirect_url,
    };
    let stand_in = StandIn::start_at(options.listen, registration)
        .await
        .context("cannot listen")?;
    println!("stand-in is ready at {}", stand_in.url());
    std::future::pending().await
}
