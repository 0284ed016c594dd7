//! The connection of a node to Zenoh routers.
//!
//! A node is a client of its routers: it opens no port. Zenoh connects to the first router that
//! answers, and connects again when the connection is lost, for ever. Meanwhile, messages of
//! other nodes are lost, and the log is polled.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ironstar_ports::BusError;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use zenoh::{Config, Session};

/// The pauses between attempts to connect: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// The largest message that is taken from the network, in bytes.
pub(super) const LARGEST: usize = 64 * 1024;

/// The interval at which the connection is checked.
const CHECK: Duration = Duration::from_secs(1);

/// The routers that a node joins, and how it proves its identity.
#[derive(Clone, Debug, Default)]
pub struct ZenohNetwork {
    /// The addresses of routers. The node needs one of them.
    pub routers: Vec<RouterAddress>,
    /// The certificates of authorities that the node trusts, in addition to the well-known
    /// ones.
    pub authorities: Option<Pem>,
    /// The node's own certificate and its private key, if the routers ask for them.
    pub certificate: Option<(Pem, Pem)>,
    /// The node's name and password, if the routers ask for them.
    pub login: Option<Login>,
}

/// Certificates or a private key, in PEM
/// ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).
#[derive(Clone)]
pub struct Pem(Vec<u8>);

/// A name and its password.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// The address of a router: `tcp/HOST:PORT`, or `tls/HOST:PORT`
/// (<https://zenoh.io/docs/manual/configuration/>).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouterAddress(String);

/// A text is not the address of a router.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "give the protocol, the host and the port of a Zenoh router, such as tcp/router.example.org:7447, or tls/… for TLS, which does not work with an IPv6 address"
)]
pub struct RouterAddressError;

impl FromStr for RouterAddress {
    type Err = RouterAddressError;

    fn from_str(text: &str) -> Result<Self, RouterAddressError> {
        let (protocol, address) = text.split_once('/').ok_or(RouterAddressError)?;
        let (host, port) = address.rsplit_once(':').ok_or(RouterAddressError)?;
        let is_known = matches!(protocol, "tcp" | "tls");
        // Zenoh would read settings behind these.
        let is_plain = !host.contains(|c: char| c.is_whitespace() || "/?#;".contains(c));
        // An IPv6 address has colons of its own.
        let is_host = !host.is_empty()
            && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')));
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        // Zenoh compares a certificate with the address in its brackets, so none matches.
        let is_usable = protocol != "tls" || !host.starts_with('[');
        if is_known && is_plain && is_host && is_port && is_usable {
            Ok(Self(text.to_owned()))
        } else {
            Err(RouterAddressError)
        }
    }
}

impl Display for RouterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RouterAddress {
    /// Returns true if the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("tls/")
    }
}

impl Pem {
    /// The content of a file.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Self(content)
    }

    fn encoded(&self) -> Value {
        BASE64_STANDARD.encode(&self.0).into()
    }
}

impl Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

impl Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl ZenohNetwork {
    fn config(&self) -> Result<Config, BusError> {
        let mut config = Config::default();
        let mut set = |key: &str, value: Value| {
            let set = config.insert_json5(key, &value.to_string());
            set.map_err(BusError)
        };
        set("mode", "client".into())?;
        let routers = self.routers.iter().map(ToString::to_string);
        set("connect/endpoints", routers.collect())?;
        // One attempt to open the session. Once it is open, Zenoh connects again by itself.
        set("connect/timeout_ms", 0.into())?;
        let retry = json!({
            "period_init_ms": milliseconds(FIRST_PAUSE),
            "period_max_ms": milliseconds(LONGEST_PAUSE),
            "period_increase_factor": 2,
        });
        set("connect/retry", retry)?;
        set("listen/endpoints", json!([]))?;
        // A command does not wait for a router that does not read.
        let drop = "transport/link/tx/queue/congestion_control/drop/wait_before_drop";
        set(drop, 0.into())?;
        set("scouting/multicast/enabled", false.into())?;
        set("scouting/gossip/enabled", false.into())?;
        set("adminspace/enabled", false.into())?;
        set("transport/link/rx/max_message_size", LARGEST.into())?;
        // The content and not the path of a file: Zenoh would read settings in a path.
        let mut set_tls = |key: &str, value| set(&format!("transport/link/tls/{key}"), value);
        if let Some(authorities) = &self.authorities {
            set_tls("root_ca_certificate_base64", authorities.encoded())?;
        }
        if let Some((certificate, key)) = &self.certificate {
            set_tls("enable_mtls", true.into())?;
            set_tls("connect_certificate_base64", certificate.encoded())?;
            set_tls("connect_private_key_base64", key.encoded())?;
        }
        if let Some(Login { user, password }) = &self.login {
            let login = json!({"user": user, "password": password});
            set("transport/auth/usrpwd", login)?;
        }
        Ok(config)
    }

    /// Starts to connect, in the background.
    ///
    /// # Errors
    ///
    /// If Zenoh does not accept the settings.
    pub(super) fn connect(&self) -> Result<Connection, BusError> {
        let config = self.config()?;
        let routers = Routers(self.routers.clone());
        let (opened, session) = watch::channel(None);
        let closing = CancellationToken::new();
        let connection = Connection {
            session,
            closing: closing.clone(),
        };
        tokio::spawn(async move {
            let connected = keep_connected(config, routers, opened);
            closing.run_until_cancelled(connected).await
        });
        Ok(connection)
    }
}

/// The connection of a bus to its routers, until it is closed.
#[derive(Clone)]
pub(super) struct Connection {
    /// `None` until a router has answered.
    session: watch::Receiver<Option<Session>>,
    closing: CancellationToken,
}

impl Connection {
    /// The session, if a router has answered.
    pub(super) fn session(&self) -> Option<Session> {
        self.session.borrow().clone()
    }

    /// Waits until a router has answered. Returns `None` if the connection is closed before.
    pub(super) async fn opened(&mut self) -> Option<Session> {
        let opened = self.session.wait_for(Option::is_some).await;
        opened.ok().and_then(|session| session.clone())
    }

    /// Waits until the connection is closed.
    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Stops connecting.
    pub(super) fn give_up(&self) {
        self.closing.cancel();
    }

    /// Stops connecting, and closes the session. All clones are closed.
    ///
    /// # Errors
    ///
    /// If the session does not close cleanly.
    pub(super) async fn close(&self) -> Result<(), BusError> {
        self.give_up();
        match self.session() {
            Some(session) => session.close().await.map_err(BusError),
            None => Ok(()),
        }
    }
}

fn milliseconds(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

/// The addresses in a line of the log.
struct Routers(Vec<RouterAddress>);

impl Display for Routers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

/// Opens the session, and then tells the operator whenever the connection is lost or made again.
async fn keep_connected(config: Config, routers: Routers, opened: watch::Sender<Option<Session>>) {
    let mut pause = FIRST_PAUSE;
    let session = loop {
        // Zenoh logs the reason why it cannot connect, and the error does not have it.
        if let Ok(session) = zenoh::open(config.clone()).await {
            break session;
        }
        if pause == FIRST_PAUSE {
            tracing::warn!(
                "no Zenoh router answers at {routers}; events of other nodes are found by polling \
                 until one does"
            );
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    opened.send_replace(Some(session.clone()));
    let mut was_connected = false;
    let mut turn = interval(CHECK);
    while !session.is_closed() {
        turn.tick().await;
        let is_connected = session.info().routers_zid().await.next().is_some();
        if is_connected != was_connected {
            if is_connected {
                tracing::info!("connected to a Zenoh router at {routers}");
            } else {
                tracing::warn!(
                    "the connection to the Zenoh router is lost; events of other nodes are found \
                     by polling until a router at {routers} answers"
                );
            }
        }
        was_connected = is_connected;
    }
}

#[cfg(test)]
mod tests {
    use super::{Login, Pem, RouterAddress, ZenohNetwork};

    #[test]
    fn address_names_protocol_host_and_port() {
        for text in [
            "tcp/localhost:7447",
            "tls/router.example.org:7447",
            "tcp/192.0.2.1:1",
            "tcp/[2001:db8::1]:7447",
        ] {
            let parsed: RouterAddress = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "",
            "localhost:7447",
            "tcp/localhost",
            "tls/[2001:db8::1]:7447",
            "tcp/:7447",
            "tcp/localhost:0",
            "tcp/localhost:70000",
            "tcp/2001:db8::1:7447",
            "tcp//localhost:7447",
            "tcp/localhost:7447?prio=1",
            "tcp/local#x=1;y:7447",
            "udp/localhost:7447",
            "TCP/localhost:7447",
            "tcp/local host:7447",
        ] {
            text.parse::<RouterAddress>().expect_err(text);
        }
    }

    #[test]
    fn password_and_private_key_are_not_shown() {
        let pem = || Pem::new(b"secret".to_vec());
        let network = ZenohNetwork {
            certificate: Some((pem(), pem())),
            login: Some(Login {
                user: "node".to_owned(),
                password: "secret".to_owned(),
            }),
            ..ZenohNetwork::default()
        };
        let shown = format!("{network:?}");
        let bytes = format!("{:?}", b"secret");
        assert!(!shown.contains(&bytes), "{shown}");
        assert!(
            shown.contains("node") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
