//! Buses that are connected by a real router, in this process.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use ironstar_adapters::zenoh::{Login, Pem, ZenohEventBus, ZenohNetwork};
use ironstar_ports::contract::event_bus;
use ironstar_ports::{EventBus, Key, KeyExpr, StreamId, Subscription};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use zenoh::{Config, Session};

use crate::contract::passes;

/// The time limit for a message that must arrive. A node tries to connect every 16 s at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A router on its own port.
struct Router {
    session: Session,
    address: String,
}

impl Router {
    async fn start(settings: &[(&str, Value)]) -> Self {
        Self::start_at(&free_address(), settings).await
    }

    async fn start_at(address: &str, settings: &[(&str, Value)]) -> Self {
        let mut config = Config::default();
        let of_router = [
            ("mode", json!("router")),
            ("listen/endpoints", json!([address])),
            ("scouting/multicast/enabled", json!(false)),
            ("adminspace/enabled", json!(false)),
        ];
        for (key, value) in of_router.iter().chain(settings) {
            let set = config.insert_json5(key, &value.to_string());
            set.expect("a setting");
        }
        Self {
            session: zenoh::open(config).await.expect("a router"),
            address: address.to_owned(),
        }
    }

    async fn stop(self) -> String {
        self.session.close().await.expect("stopped");
        self.address
    }
}

/// The address of a port that nothing listens on at this moment.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("tcp/{address}")
}

fn network(address: &str) -> ZenohNetwork {
    ZenohNetwork {
        routers: vec![address.parse().expect("an address")],
        ..ZenohNetwork::default()
    }
}

async fn node(network: &ZenohNetwork) -> ZenohEventBus {
    ZenohEventBus::on(network).await.expect("a bus")
}

async fn all(bus: &ZenohEventBus) -> Subscription {
    let all = bus.subscribe(&KeyExpr::all_events()).await;
    all.expect("a subscription")
}

fn key(id: &str) -> Key {
    Key::of_stream(&StreamId::new("Todo", id))
}

/// Sends a message again and again until the subscription gets it, and returns the time that
/// this took; `None` after the time limit.
async fn reaches(
    from: &ZenohEventBus,
    to: &mut Subscription,
    id: &str,
    limit: Duration,
) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < limit {
        from.publish(&key(id), b"hint").await.expect("published");
        let received = async {
            while let Some(message) = to.next().await {
                if message.key == key(id).as_str() {
                    assert_eq!(message.payload, b"hint");
                    return;
                }
            }
            panic!("the subscription has ended");
        };
        if timeout(Duration::from_millis(100), received).await.is_ok() {
            return Some(start.elapsed());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn bus_on_a_network_keeps_the_contract() {
    let routers = Mutex::new(Vec::new());
    passes(event_bus::RULES, async || {
        let router = Router::start(&[]).await;
        let network = network(&router.address);
        routers.lock().expect("the lock").push(router);
        let (bus, other) = (node(&network).await, node(&network).await);
        let mut subscription = all(&bus).await;
        let connected = reaches(&other, &mut subscription, "0", PATIENCE).await;
        assert!(connected.is_some(), "the bus is connected");
        Arc::new(bus) as Arc<dyn EventBus>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bus_without_its_router_keeps_the_contract() {
    let network = network(&free_address());
    passes(event_bus::RULES, async || {
        Arc::new(node(&network).await) as Arc<dyn EventBus>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_other_nodes() {
    let router = Router::start(&[]).await;
    let network = network(&router.address);
    let (one, other) = (node(&network).await, node(&network).await);
    let (mut at_one, mut at_other) = (all(&one).await, all(&other).await);
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    assert!(reaches(&other, &mut at_one, "2", PATIENCE).await.is_some());
}

/// A node's own messages do not come back from the router.
#[tokio::test(flavor = "multi_thread")]
async fn message_arrives_once_at_its_own_node() {
    let router = Router::start(&[]).await;
    let network = network(&router.address);
    let (one, other) = (node(&network).await, node(&network).await);
    let (mut at_one, mut at_other) = (all(&one).await, all(&other).await);
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    assert!(reaches(&other, &mut at_one, "2", PATIENCE).await.is_some());
    one.publish(&key("3"), b"hint").await.expect("published");
    let mut received = Vec::new();
    let start = Instant::now();
    // A copy of the message would come from the router before this one.
    while !received.contains(&key("4").as_str().to_owned()) && start.elapsed() < PATIENCE {
        other.publish(&key("4"), b"hint").await.expect("published");
        while let Ok(message) = timeout(Duration::from_millis(200), at_one.next()).await {
            received.push(message.expect("a message").key);
        }
    }
    let copies = received.iter().filter(|it| **it == key("3").as_str());
    assert_eq!(copies.count(), 1, "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_do_not_arrive() {
    let router = Router::start(&[]).await;
    let network = network(&router.address);
    let (one, other) = (node(&network).await, node(&network).await);
    let mut at_other = all(&other).await;
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    for (id, size) in [("2", 70_000), ("3", 3_000_000)] {
        let payload = vec![b'x'; size];
        one.publish(&key(id), &payload).await.expect("published");
    }
    let mut received = Vec::new();
    let start = Instant::now();
    let is_large = |it: &String| [key("2"), key("3")].iter().any(|key| key.as_str() == it);
    while !received.contains(&key("4").as_str().to_owned()) && start.elapsed() < PATIENCE {
        let payload = vec![b'x'; 60_000];
        one.publish(&key("4"), &payload).await.expect("published");
        while let Ok(message) = timeout(Duration::from_millis(200), at_other.next()).await {
            received.push(message.expect("a message").key);
        }
    }
    assert!(
        received.contains(&key("4").as_str().to_owned()),
        "{received:?}"
    );
    assert!(!received.iter().any(is_large), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_connect_again_when_their_router_comes_back() {
    let router = Router::start(&[]).await;
    let network = network(&router.address);
    let (one, other) = (node(&network).await, node(&network).await);
    let mut at_other = all(&other).await;
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    let address = router.stop().await;
    let gone = reaches(&one, &mut at_other, "2", Duration::from_secs(2)).await;
    assert_eq!(gone, None, "there is no router");
    let _router = Router::start_at(&address, &[]).await;
    assert!(reaches(&one, &mut at_other, "3", PATIENCE).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_before_their_router_connect_later() {
    let address = free_address();
    let network = network(&address);
    let (one, other) = (node(&network).await, node(&network).await);
    let (mut at_one, mut at_other) = (all(&one).await, all(&other).await);
    let within = reaches(&one, &mut at_one, "1", PATIENCE).await;
    assert!(within.is_some(), "messages inside the process arrive");
    let _router = Router::start_at(&address, &[]).await;
    assert!(reaches(&one, &mut at_other, "2", PATIENCE).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn node_connects_to_the_router_that_answers() {
    let router = Router::start(&[]).await;
    let mut network = network(&free_address());
    network
        .routers
        .push(router.address.parse().expect("an address"));
    let (one, other) = (node(&network).await, node(&network).await);
    let mut at_other = all(&other).await;
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn router_with_passwords_takes_only_nodes_that_know_one() {
    let directory = TempDir::new().expect("a directory");
    let dictionary = directory.path().join("users.txt");
    fs::write(&dictionary, "node:secret\n").expect("written");
    let router = Router::start(&[(
        "transport/auth/usrpwd",
        json!({"user": "router", "password": "other", "dictionary_file": dictionary}),
    )])
    .await;
    let known = ZenohNetwork {
        login: Some(Login {
            user: "node".to_owned(),
            password: "secret".to_owned(),
        }),
        ..network(&router.address)
    };
    let wrong = ZenohNetwork {
        login: Some(Login {
            user: "node".to_owned(),
            password: "wrong".to_owned(),
        }),
        ..network(&router.address)
    };
    let (one, other) = (node(&known).await, node(&known).await);
    let (stranger, guesser) = (node(&network(&router.address)).await, node(&wrong).await);
    let mut at_other = all(&other).await;
    let (mut at_stranger, mut at_guesser) = (all(&stranger).await, all(&guesser).await);
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    let soon = Duration::from_secs(1);
    assert_eq!(reaches(&one, &mut at_stranger, "2", soon).await, None);
    assert_eq!(reaches(&one, &mut at_guesser, "2", soon).await, None);
}

/// Files with certificates, and the authority that signs them.
struct Certificates {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let folder = TempDir::new().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new([]).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("authority.pem"), certificate.pem()).expect("written");
        Self {
            folder,
            authority: Issuer::new(parameters, key),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The content of the authority's certificate.
    fn authority(&self) -> Pem {
        Pem::new(fs::read(self.path("authority.pem")).expect("read"))
    }

    /// The contents of the files of `issue`.
    fn issue_pem(&self, name: &str) -> (Pem, Pem) {
        let (certificate, key) = self.issue(name);
        let read = |file| Pem::new(fs::read(file).expect("read"));
        (read(certificate), read(key))
    }

    /// Writes a certificate for `localhost` and its key.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(["localhost".to_owned()]);
        let parameters = parameters.expect("parameters");
        let certificate = parameters.signed_by(&key, &self.authority);
        let files = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        fs::write(&files.0, certificate.expect("signed").pem()).expect("written");
        fs::write(&files.1, key.serialize_pem()).expect("written");
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_and_router_know_each_other_by_their_certificates() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let address = free_address().replace("tcp/127.0.0.1", "tls/localhost");
    let (certificate, key) = ours.issue("router");
    let router = Router::start_at(
        &address,
        &[
            ("transport/link/tls/listen_certificate", json!(certificate)),
            ("transport/link/tls/listen_private_key", json!(key)),
            (
                "transport/link/tls/root_ca_certificate",
                json!(ours.path("authority.pem")),
            ),
            ("transport/link/tls/enable_mtls", json!(true)),
        ],
    )
    .await;
    let known = ZenohNetwork {
        authorities: Some(ours.authority()),
        certificate: Some(ours.issue_pem("node")),
        ..network(&router.address)
    };
    let refused = [
        (
            "a node that does not trust the router",
            ZenohNetwork {
                authorities: Some(others.authority()),
                ..known.clone()
            },
        ),
        (
            "a node that trusts the well-known authorities only",
            ZenohNetwork {
                authorities: None,
                ..known.clone()
            },
        ),
        (
            "a node that the router does not trust",
            ZenohNetwork {
                certificate: Some(others.issue_pem("node")),
                ..known.clone()
            },
        ),
        (
            "a node without a certificate",
            ZenohNetwork {
                certificate: None,
                ..known.clone()
            },
        ),
    ];
    let (one, other) = (node(&known).await, node(&known).await);
    let mut at_other = all(&other).await;
    assert!(reaches(&one, &mut at_other, "1", PATIENCE).await.is_some());
    for (who, network) in refused {
        let stranger = node(&network).await;
        let mut at_stranger = all(&stranger).await;
        let reached = reaches(&one, &mut at_stranger, "2", Duration::from_millis(500)).await;
        assert_eq!(reached, None, "{who}");
    }
}

/// A bus that is closed while it is connecting.
#[tokio::test(flavor = "multi_thread")]
async fn closed_bus_ends_subscriptions_before_there_is_a_router() {
    let bus = node(&network(&free_address())).await;
    let mut subscription = all(&bus).await;
    bus.close().await.expect("closed");
    let end = timeout(PATIENCE, subscription.next()).await;
    assert_eq!(end.expect("the subscription ends"), None);
    bus.publish(&key("1"), b"").await.expect_err("closed");
}
