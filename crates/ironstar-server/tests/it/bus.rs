//! Servers and other programs on a Zenoh network, with a real router in this process.

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
fn free_address() -> String {
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

async fn router(address: &str) -> Session {
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
    std::fs::write(&users, "node:n0de\nprogram:pr0gram\n").expect("written");
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
    let publish = async |from: &Session, key: &str| {
        from.put(key, "1").await.expect("published");
    };
    let drain = async |hints: &Hints| {
        let mut keys = Vec::new();
        while let Ok(hint) = timeout(Duration::from_millis(300), hints.recv_async()).await {
            keys.push(hint.expect("it goes on").key_expr().as_str().to_owned());
        }
        keys
    };
    // Until the subscription of the second node is known everywhere.
    while drain(&all).await.is_empty() {
        server.create("another").await;
    }
    drain(&hints).await;
    publish(&node, "events/session/1/theme").await;
    publish(&node, "events/Remark/1").await;
    assert_eq!(drain(&hints).await, ["events/Remark/1"]);
    // Its own messages.
    drain(&all).await;
    publish(&program, "events/Remark/2").await;
    assert_eq!(drain(&all).await, [""; 0], "programs send nothing");
    // The two kinds of messages do reach another server.
    let second = known_program(&address, "node", "n0de").await;
    publish(&second, "events/session/1/theme").await;
    publish(&second, "events/Remark/3").await;
    let heard = drain(&all).await;
    assert_eq!(heard, ["events/session/1/theme", "events/Remark/3"]);
}

#[test]
fn invalid_options_of_the_bus_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing.pem");
    let missing = missing.to_str().expect("text");
    let connect = ["--bus-connect", "tcp/localhost:7447"];
    for (arguments, code, reason) in [
        (
            &["--bus-connect", "localhost:7447"][..],
            2,
            "such as tcp/router.example.org:7447",
        ),
        (
            &["--bus-connect", "tcp/a:1,udp/b:2"],
            2,
            "such as tcp/router.example.org:7447",
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
    ] {
        let mut command = server();
        command.args(["--listen", "127.0.0.1:0", "--database-url"]);
        let output = run_to_end(command.arg(database_url(&directory)).args(arguments));
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}
