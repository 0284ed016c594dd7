//! The options for the bus: the Zenoh network that connects several servers.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ironstar_adapters::zenoh::{Login, RouterAddress, ZenohEventBus, ZenohNetwork};

use super::secret::{Secret, not_empty};

/// The options for the bus.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct BusOptions {
    /// Addresses of Zenoh routers, separated by commas, such as tcp/router:7447, or tls/… for
    /// TLS. The server connects to one of them, and again when the connection is lost. All
    /// servers on the same routers tell each other of new events. By default, the bus stays
    /// inside this process
    #[arg(
        long,
        env = "IRONSTAR_BUS_CONNECT",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    bus_connect: Vec<RouterAddress>,

    /// File with the certificates of the authorities that may vouch for a router, in PEM. By
    /// default, the well-known authorities
    #[arg(
        long,
        env = "IRONSTAR_BUS_AUTHORITIES",
        value_name = "FILE",
        requires = "bus_connect"
    )]
    bus_authorities: Option<PathBuf>,

    /// File with this server's certificate for routers that ask for one, in PEM
    #[arg(
        long,
        env = "IRONSTAR_BUS_CERTIFICATE",
        value_name = "FILE",
        requires = "bus_connect",
        requires = "bus_key"
    )]
    bus_certificate: Option<PathBuf>,

    /// File with the private key of that certificate, in PEM
    #[arg(
        long,
        env = "IRONSTAR_BUS_KEY",
        value_name = "FILE",
        requires = "bus_certificate"
    )]
    bus_key: Option<PathBuf>,

    /// User name of this server, for routers that ask for one
    #[arg(
        long,
        env = "IRONSTAR_BUS_USER",
        value_name = "NAME",
        value_parser = not_empty,
        requires = "bus_connect",
        requires = "bus_password"
    )]
    bus_user: Option<String>,

    /// Password of that user. Prefer the variable: other users of the machine cannot read it
    #[arg(
        long,
        env = "IRONSTAR_BUS_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        requires = "bus_user"
    )]
    bus_password: Option<Secret>,
}

impl BusOptions {
    /// Opens the bus.
    pub(crate) async fn open(&self) -> anyhow::Result<ZenohEventBus> {
        if self.bus_connect.is_empty() {
            return Ok(ZenohEventBus::embedded().await?);
        }
        for (option, file) in [
            ("--bus-authorities", &self.bus_authorities),
            ("--bus-certificate", &self.bus_certificate),
            ("--bus-key", &self.bus_key),
        ] {
            if let Some(file) = file {
                // Zenoh would only say so in its log, and try again for ever.
                let read = std::fs::File::open(file);
                read.with_context(|| format!("cannot read {}, given by {option}", file.display()))?;
            }
        }
        let network =
            ZenohNetwork {
                routers: self.bus_connect.clone(),
                authorities: self.bus_authorities.clone(),
                certificate: self.bus_certificate.clone().zip(self.bus_key.clone()),
                login: self.bus_user.clone().zip(self.bus_password.as_ref()).map(
                    |(user, password)| Login {
                        user,
                        password: password.expose().to_owned(),
                    },
                ),
            };
        let bus = ZenohEventBus::on(&network).await;
        bus.context("cannot set up the bus on a Zenoh network")
    }
}
