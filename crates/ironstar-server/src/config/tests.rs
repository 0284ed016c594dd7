use clap::{CommandFactory, Parser};
use ironstar_web::{AllowedHosts, HostRule};

use super::{CommandLine, Config};
use crate::application::tests::Bare;

#[test]
fn the_options_are_consistent() {
    CommandLine::<Bare>::command().debug_assert();
}

fn parse(arguments: &[&str]) -> Result<Config, String> {
    let arguments = ["bare"].iter().chain(arguments);
    let line = CommandLine::<Bare>::try_parse_from(arguments);
    line.map(|line| line.config)
        .map_err(|error| error.to_string())
}

#[test]
fn clients_are_limited_unless_operator_turns_limits_off() {
    let config = parse(&[]).expect("defaults");
    let limits = config.limits();
    assert_eq!((limits.command_rate, limits.streams_per_client), (20, 64));
    assert_eq!(limits.client_address_header, None);
    assert_eq!(config.max_connections(), None);

    let config = parse(&[
        "--command-rate=0",
        "--streams-per-visitor=0",
        "--max-connections=1",
        "--client-address-header=X-Real-IP",
    ]);
    let config = config.expect("options");
    let limits = config.limits();
    assert_eq!((limits.command_rate, limits.streams_per_client), (0, 0));
    let header = limits.client_address_header.expect("a header");
    assert_eq!(header, "x-real-ip");
    assert_eq!(config.max_connections(), Some(1));
}

#[test]
fn hosts_are_loopback_unless_server_listens_on_another_address() {
    let hosts = |arguments: &[&str]| parse(arguments).expect("options").limits().allowed_hosts;
    let only = |more: &[&str]| {
        let more = more.iter().map(|rule| rule.parse().expect("a rule"));
        AllowedHosts::Only(HostRule::loopback().into_iter().chain(more).collect())
    };
    assert_eq!(hosts(&[]), only(&["127.0.0.1"]));
    assert_eq!(hosts(&["--listen=127.0.0.2:80"]), only(&["127.0.0.2"]));
    assert_eq!(hosts(&["--listen=[::1]:80"]), only(&["::1"]));
    assert_eq!(hosts(&["--listen=0.0.0.0:80"]), AllowedHosts::Any);
    for listen in ["--listen=127.0.0.1:80", "--listen=192.0.2.1:80"] {
        let given = [listen, "--allowed-hosts=example.org,.example.net"];
        assert_eq!(hosts(&given), only(&["example.org", ".example.net"]));
    }
}

#[test]
fn invalid_limits_are_refused_with_a_reason() {
    for (argument, reason) in [
        ("--command-rate=fast", "invalid digit"),
        ("--command-rate=1000001", "1000001 is not in 0..=1000000"),
        ("--streams-per-visitor=-1", "-1 is not in 0.."),
        ("--max-connections=0", "0 is not in 1..=1000000"),
        ("--client-address-header=", "such as X-Forwarded-For"),
        ("--client-address-header=a b", "such as X-Forwarded-For"),
        ("--client-address-header=Forwarded", "is not supported"),
        ("--allowed-hosts=", "without scheme and port"),
        (
            "--allowed-hosts=http://example.org",
            "without scheme and port",
        ),
        (
            "--allowed-hosts=a.test,example.org:80",
            "without scheme and port",
        ),
        ("--allowed-hosts=*.example.org", "'.example.org' for that"),
    ] {
        let message = parse(&[argument]).expect_err(argument);
        assert!(message.contains(reason), "{argument}: {message}");
    }
}

#[test]
fn an_app_at_github_has_an_id_and_a_secret() {
    let parsed = |id: &str, secret: &str| {
        let (id, secret) = (
            format!("--github-client-id={id}"),
            format!("--github-client-secret={secret}"),
        );
        parse(&["--public-url", "http://localhost:3000", &id, &secret])
    };
    parsed("id", "secret").expect("both");
    for (id, secret) in [("", "secret"), ("id", ""), ("id", " ")] {
        let refused = parsed(id, secret).expect_err("one is missing");
        assert!(refused.contains("it is empty"), "{refused}");
    }
}
