//! The options for the bus: the Zenoh network that connects several servers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use ironstar_adapters::zenoh::{Login, Pem, RouterAddress, ZenohEventBus, ZenohNetwork};

use super::secret::{Secret, not_empty};

/// The options for the bus.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct BusOptions {
    /// Addresses of Zenoh routers, separated by commas, such as tls/router:7447, or tcp/… without
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

    /// File with the certificates of authorities that may vouch for a router, in addition to
    /// the well-known ones, in PEM
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

/// The ends of the lines that begin a certificate and a private key. Keys have several kinds.
const CERTIFICATE: &str = "CERTIFICATE-----";
const KEY: &str = "PRIVATE KEY-----";

impl BusOptions {
    /// Opens the bus.
    pub(crate) async fn open(&self) -> anyhow::Result<ZenohEventBus> {
        if self.bus_connect.is_empty() {
            return Ok(ZenohEventBus::embedded().await?);
        }
        let are_tls = self.bus_connect.iter().filter(|it| it.is_tls()).count();
        if are_tls > 0 && are_tls < self.bus_connect.len() {
            // Otherwise an attacker could make the server use no TLS, by blocking the routers with TLS.
            bail!("--bus-connect mixes tls/… and tcp/…; give addresses of one kind");
        }
        if are_tls == 0 && (self.bus_authorities.is_some() || self.bus_certificate.is_some()) {
            bail!("--bus-authorities and --bus-certificate need tls/… in --bus-connect");
        }
        let network =
            ZenohNetwork {
                routers: self.bus_connect.clone(),
                authorities: pem(
                    "--bus-authorities",
                    self.bus_authorities.as_deref(),
                    CERTIFICATE,
                )?,
                certificate: pem(
                    "--bus-certificate",
                    self.bus_certificate.as_deref(),
                    CERTIFICATE,
                )?
                .zip(pem("--bus-key", self.bus_key.as_deref(), KEY)?),
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

/// Reads the file of an option. Zenoh would tell of an invalid file only in its log, and try
/// again for ever.
fn pem(option: &str, file: Option<&Path>, begins: &str) -> anyhow::Result<Option<Pem>> {
    let Some(file) = file else {
        return Ok(None);
    };
    let content = fs::read(file);
    let content =
        content.with_context(|| format!("cannot read {}, given by {option}", file.display()))?;
    let text = String::from_utf8_lossy(&content);
    let is_begin =
        |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(begins);
    if !text.lines().any(is_begin) {
        bail!(
            "{}, given by {option}, is not a PEM file with a line '-----BEGIN {begins}'",
            file.display()
        );
    }
    Ok(Some(Pem::new(content)))
}
