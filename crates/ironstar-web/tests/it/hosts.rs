//! The names under which the server answers.

use axum::body::Body;
use axum::http::{Request, StatusCode, Version, header};
use ironstar_web::{AllowedHosts, HostRule, Limits};

use crate::app::{TestApp, json};
use crate::limits::from;

#[tokio::test]
async fn the_server_answers_only_under_its_names() {
    let rules = vec![".example.org".parse::<HostRule>().expect("a rule")];
    let limits = Limits {
        allowed_hosts: AllowedHosts::Only(rules.into_iter().chain(HostRule::loopback()).collect()),
        ..Limits::default()
    };
    let app = TestApp::with_limits(limits).await;
    let asked = async |host: &str| {
        let request = Request::get("/")
            .header(header::HOST, host)
            .body(Body::empty());
        app.send(from("192.0.2.1", request.expect("a request")))
            .await
    };
    for host in ["localhost:3000", "127.0.0.1", "[::1]:80", "a.example.org"] {
        assert_eq!(asked(host).await.status(), StatusCode::OK, "{host}");
    }
    for host in [
        "evil.test",
        "evil.test:3000",
        "localhost.evil.test",
        "0.0.0.0",
    ] {
        let refused = asked(host).await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert_eq!(json(refused).await["type"], "/problems/unknown-host");
    }
    // HTTP/2 clients, and clients of a proxy, name the host in the target, which takes
    // precedence over the header.
    let target = Request::get("http://evil.test/").header(header::HOST, "localhost");
    let target = target.body(Body::empty()).expect("a request");
    let refused = app.send(from("192.0.2.1", target)).await;
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
    let two = Request::get("http://localhost/").header(header::HOST, "localhost");
    let two = two.header(header::HOST, "evil.test").body(Body::empty());
    let refused = app.send(from("192.0.2.1", two.expect("a request"))).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_request_over_a_network_names_one_host() {
    let app = TestApp::init().await;
    let asked = async |version, hosts: &[&str]| {
        let mut request = from(
            "192.0.2.1",
            Request::get("/").body(Body::empty()).expect("a request"),
        );
        *request.version_mut() = version;
        request.headers_mut().remove(header::HOST);
        for host in hosts {
            let host = host.parse().expect("a value");
            request.headers_mut().append(header::HOST, host);
        }
        app.send(request).await.status()
    };
    assert_eq!(asked(Version::HTTP_11, &["any.test"]).await, StatusCode::OK);
    assert_eq!(asked(Version::HTTP_10, &[]).await, StatusCode::OK);
    for (version, hosts) in [
        (Version::HTTP_11, &[][..]),
        (Version::HTTP_2, &[]),
        (Version::HTTP_11, &["a.test", "b.test"]),
        (Version::HTTP_11, &[""]),
        (Version::HTTP_11, &["a b"]),
        (Version::HTTP_11, &["evil.test@any.test"]),
    ] {
        let status = asked(version, hosts).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{version:?} {hosts:?}");
    }
}
