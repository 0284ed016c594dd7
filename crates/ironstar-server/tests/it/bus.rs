//! Servers and other programs on a Zenoh network, with a real router in this process.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;
use zenoh::handlers::FifoChannelHandler;
use zenoh::pubsub::Subscriber;
use zenoh::sample::Sample;
use zenoh::{Config, Session};

use crate::process::{Server, database_url, run_to_end, server};

/// The address of a port that nothing listens on at this moment.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("tcp/{address}")
}

async fn zenoh_session(mode: &str, endpoints: &str, address: &str) -> Session {
    let mut config = Config::default();
    for (key, value) in [
        ("mode", json!(mode)),
        (endpoints, json!([address])),
        ("scouting/multicast/enabled", json!(false)),
    ] {
        config
            .insert_json5(key, &value.to_string())
            .expect("a setting");
    }
    zenoh::open(config).await.expect("a session")
}

pub(crate) async fn router(address: &str) -> Session {
    zenoh_session("router", "listen/endpoints", address).await
}

fn start(directory: &TempDir, router: &str) -> Server {
    Server::start_with(server().args([
        "--database-url",
        &database_url(directory),
        "--bus-connect",
        router,
    ]))
}

type Hints = Subscriber<FifoChannelHandler<Sample>>;

/// Creates remarks until the subscriber hears of one. Returns the id of that remark and its
/// position, as the answer tells it.
async fn remark_that_is_heard(server: &Server, hints: &Hints) -> (String, u64, Sample) {
    for number in 0..600 {
        let text = format!("remark {number}");
        let (_, answer) = server
            .command(&json!({"type": "create", "text": text}))
            .await;
        let id = answer["id"].as_str().expect("an id").to_owned();
        let position = answer["position"].as_u64().expect("a position");
        let soon = Duration::from_millis(100);
        while let Ok(hint) = timeout(soon, hints.recv_async()).await {
            let hint = hint.expect("the subscription goes on");
            if hint.key_expr().as_str() == format!("events/Remark/{id}") {
                return (id, position, hint);
            }
        }
    }
    panic!("no hint arrives");
}

/// As docs/SCALING.md describes the messages.
#[tokio::test(flavor = "multi_thread")]
async fn program_on_the_network_gets_hints() {
    let address = free_address();
    let _router = router(&address).await;
    let program = zenoh_session("client", "connect/endpoints", &address).await;
    let hints = program.declare_subscriber("events/Remark/**").await;
    let hints = hints.expect("a subscription");
    let directory = TempDir::new().expect("a directory");
    let server = start(&directory, &address);
    let (_, position, hint) = remark_that_is_heard(&server, &hints).await;
    let payload = hint.payload().try_to_string().expect("text");
    assert_eq!(payload, position.to_string());
    let (status, log) = server.stop();
    assert!(status.success());
    let connected = format!("connected to a Zenoh router at {address}");
    assert!(log.contains(&connected), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_and_one_router_show_each_others_changes() {
    let address = free_address();
    let _router = router(&address).await;
    let directory = TempDir::new().expect("a directory");
    let (one, other) = (start(&directory, &address), start(&directory, &address));
    let mut at_other = other.stream("/api/events").await;
    for number in 0..3 {
        let id = one.create(&format!("remark {number}")).await;
        loop {
            let event = at_other.next().await;
            if event.data.contains(&id) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_serves_without_its_router_and_connects_later() {
    let address = free_address();
    let directory = TempDir::new().expect("a directory");
    let server = start(&directory, &address);
    let mut events = server.stream("/api/events").await;
    let id = server.create("alone").await;
    while !events.next().await.data.contains(&id) {}
    let _router = router(&address).await;
    let program = zenoh_session("client", "connect/endpoints", &address).await;
    let hints = program.declare_subscriber("events/Remark/**").await;
    remark_that_is_heard(&server, &hints.expect("a subscription")).await;
    let (_, log) = server.stop();
    let alone = format!("no Zenoh router answers at {address}");
    assert!(log.contains(&alone), "{log}");
}

/// The router of `deploy/router.json5`, with passwords of its own.
async fn deployed_router(directory: &TempDir, address: &str) -> Session {
    let users = directory.path().join("users.txt");
    fs::write(&users, "node:n0de\nprogram:pr0gram\n").expect("written");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/router.json5");
    let mut config = Config::from_file(file).expect("valid settings");
    for (key, value) in [
        ("listen/endpoints", json!([address])),
        ("transport/auth/usrpwd/dictionary_file", json!(users)),
    ] {
        config
            .insert_json5(key, &value.to_string())
            .expect("a setting");
    }
    zenoh::open(config).await.expect("a router")
}

async fn known_program(address: &str, user: &str, password: &str) -> Session {
    let mut config = Config::default();
    for (key, value) in [
        ("mode", json!("client")),
        ("connect/endpoints", json!([address])),
        ("scouting/multicast/enabled", json!(false)),
        (
            "transport/auth/usrpwd",
            json!({"user": user, "password": password}),
        ),
    ] {
        config
            .insert_json5(key, &value.to_string())
            .expect("a setting");
    }
    zenoh::open(config).await.expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_on_the_deployed_router_hear_events_and_nothing_of_visitors() {
    let address = free_address();
    let directory = TempDir::new().expect("a directory");
    let _router = deployed_router(&directory, &address).await;
    let program = known_program(&address, "program", "pr0gram").await;
    let hints = program.declare_subscriber("events/**").await;
    let hints = hints.expect("a subscription");
    let mut command = server();
    command.args(["--database-url", &database_url(&directory)]);
    command.args(["--bus-connect", &address, "--bus-user", "node"]);
    let server = Server::start_with(command.env("IRONSTAR_BUS_PASSWORD", "n0de"));
    remark_that_is_heard(&server, &hints).await;

    let node = known_program(&address, "node", "n0de").await;
    let all = node.declare_subscriber("events/**").await;
    let all = all.expect("a subscription");
    let second = known_program(&address, "node", "n0de").await;
    let publish = async |from: &Session, key: &str| {
        from.put(key, "1").await.expect("published");
    };
    // The keys of a subscription, up to a key that the same sender repeats until it arrives.
    let heard = async |hints: &Hints, from: &Session, last: &str| {
        let mut keys = Vec::new();
        for _ in 0..600 {
            publish(from, last).await;
            let soon = Duration::from_millis(100);
            while let Ok(hint) = timeout(soon, hints.recv_async()).await {
                let key = hint.expect("it goes on").key_expr().as_str().to_owned();
                if key == last {
                    return keys;
                }
                keys.push(key);
            }
        }
        panic!("{last} does not arrive");
    };
    heard(&all, &second, "events/ready").await;
    heard(&hints, &node, "events/ready").await;
    publish(&node, "events/session/1/theme").await;
    publish(&node, "events/Remark/1").await;
    let at_program = heard(&hints, &node, "events/end/1").await;
    assert!(
        at_program.contains(&"events/Remark/1".to_owned()),
        "{at_program:?}"
    );
    let is_private = |key: &String| key.starts_with("events/session");
    assert!(!at_program.iter().any(is_private), "{at_program:?}");
    // What a program sends does not arrive, and what a server sends arrives.
    publish(&program, "events/Remark/2").await;
    publish(&second, "events/session/2/theme").await;
    let at_node = heard(&all, &second, "events/end/2").await;
    assert!(
        at_node.contains(&"events/session/2/theme".to_owned()),
        "{at_node:?}"
    );
    publish(&program, "events/Remark/3").await;
    // The router has long refused the messages of the program by then.
    let later = heard(&all, &second, "events/end/3").await;
    let is_forged = |key: &&String| ["events/Remark/2", "events/Remark/3"].contains(&key.as_str());
    let forged = at_node.iter().chain(&later).find(is_forged);
    assert_eq!(forged, None, "programs send nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn password_is_not_logged() {
    let address = free_address();
    let _router = router(&address).await;
    let directory = TempDir::new().expect("a directory");
    let mut command = server();
    command.args(["--database-url", &database_url(&directory)]);
    command.args(["--bus-connect", &address, "--bus-user", "node"]);
    command.env("IRONSTAR_BUS_PASSWORD", "n0de-secret");
    let server = Server::start_with(command.env("RUST_LOG", "trace,hyper=info,sqlx=info"));
    let (_, log) = server.stop();
    assert!(log.contains("zenoh"), "Zenoh logs something");
    assert!(!log.contains("n0de-secret"), "{log}");
}

#[test]
fn invalid_options_of_the_bus_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing.pem");
    let missing = missing.to_str().expect("text");
    let text = directory.path().join("text.pem");
    fs::write(&text, "text").expect("written");
    let text = text.to_str().expect("text");
    let connect = ["--bus-connect", "tls/localhost:7447"];
    let such = "such as tcp/router.example.org:7447";
    for (arguments, code, reason) in [
        (&["--bus-connect", "localhost:7447"][..], 2, such),
        (&["--bus-connect", "tcp/a:1,udp/b:2"], 2, such),
        (&["--bus-connect", "tcp/a:1,tls/b:2"], 1, "of one kind"),
        (
            &["--bus-connect", "tcp/a:1", "--bus-authorities", text],
            1,
            "need tls/",
        ),
        (&["--bus-authorities", missing], 2, "--bus-connect"),
        (
            &[connect[0], connect[1], "--bus-certificate", missing],
            2,
            "--bus-key",
        ),
        (
            &[connect[0], connect[1], "--bus-user", "node"],
            2,
            "--bus-password",
        ),
        (
            &[connect[0], connect[1], "--bus-authorities", missing],
            1,
            "given by --bus-authorities",
        ),
        (
            &[connect[0], connect[1], "--bus-authorities", text],
            1,
            "is not a PEM file",
        ),
    ] {
        let mut command = server();
        command.args(["--listen", "127.0.0.1:0", "--database-url"]);
        let output = run_to_end(command.arg(database_url(&directory)).args(arguments));
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}
