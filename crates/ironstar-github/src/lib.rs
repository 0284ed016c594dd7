//! A stand-in for GitHub, to test sign-in against. It keeps to the protocol more strictly
//! than GitHub: a client that works here works there, too. On request, it misbehaves.
//!
//! This crate knows nothing of ironstar. It is for tests, and not part of any server.
//!
//! - [`StandIn`] is a server in this process. The program of this crate runs the same server.
//! - [`Behaviour`] lists the ways in which it can misbehave.

mod codes;
mod pages;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use codes::Codes;

/// An application that the stand-in knows.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The client id of the application.
    pub client_id: String,
    /// The client secret of the application.
    pub client_secret: String,
    /// The only address to which browsers are sent back.
    pub redirect_url: String,
}

/// A person with an account at the stand-in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Person {
    /// The permanent id of the account.
    pub id: u64,
    /// The name for signing in, which may change.
    pub login: String,
    /// The full name of the person.
    pub name: Option<String>,
}

/// The ways in which the stand-in can misbehave.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// It does not misbehave.
    #[default]
    Normal,
    /// It answers after every client has given up.
    Slow,
    /// It does not know the application.
    UnknownClient,
    /// It fails with 500.
    Fail,
    /// It answers with 429, because it is too busy.
    Busy,
    /// It refuses codes with a 200, as GitHub does.
    ErrorBody,
    /// It redirects the client to an address where every request gets a token.
    Redirect,
    /// Its answer is not JSON.
    Garbage,
    /// Its answer is a token, followed by a megabyte of spaces.
    Huge,
    /// Its answer is an array instead of an object.
    Array,
    /// Its answer is a token as text with another content type.
    OtherKind,
    /// It closes the connection in the middle of the answer.
    HangUp,
    /// Its tokens have another type.
    OtherToken,
    /// It issues tokens, but answers requests for profiles with 401.
    NoProfile,
    /// It issues tokens, but answers requests for profiles with 403: rate limit exceeded.
    NoMoreProfiles,
    /// Its profiles have no id.
    Nameless,
    /// It sends browsers back with a wrong state.
    OtherState,
    /// It sends browsers back without a state.
    NoState,
}

/// A running stand-in. Dropping it stops the server.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: DropGuard,
}

/// The state that the handlers share.
#[derive(Debug)]
struct Shared {
    registration: Registration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    people: Vec<Person>,
    codes: Codes,
    /// The number of requests for tokens. The next field counts the requests for profiles.
    exchanges: usize,
    profiles: usize,
    led_astray: usize,
}

/// The delay of [`Behaviour::Slow`].
const SLOW: Duration = Duration::from_secs(30);

impl StandIn {
    /// Starts a stand-in on a free port of this machine.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn start(registration: Registration) -> std::io::Result<Self> {
        Self::start_at(
            "127.0.0.1:0".parse().unwrap_or(([127, 0, 0, 1], 0).into()),
            registration,
        )
        .await
    }

    /// Starts a stand-in at an address.
    ///
    /// # Errors
    ///
    /// The stand-in cannot listen on the address.
    pub async fn start_at(
        address: SocketAddr,
        registration: Registration,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            registration,
            state: Mutex::new(State {
                behaviour: Behaviour::Normal,
                people: vec![
                    person(1, "octocat", "The Octocat"),
                    person(2, "hubot", "Hubot"),
                ],
                codes: Codes::default(),
                exchanges: 0,
                profiles: 0,
                led_astray: 0,
            }),
        });
        let router = routes::router(Arc::clone(&shared));
        let stopped = CancellationToken::new();
        let running = stopped.clone().drop_guard();
        tokio::spawn(async move {
            let serving = async { axum::serve(listener, router).await };
            stopped.run_until_cancelled(serving).await
        });
        Ok(Self {
            address,
            shared,
            _running: running,
        })
    }

    /// The address of the stand-in.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address to which browsers are sent.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        format!("{}/login/oauth/authorize", self.url())
    }

    /// The address that exchanges a code for a token.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/login/oauth/access_token", self.url())
    }

    /// The address of the API, for profiles.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url())
    }

    /// Changes the behaviour for all later requests.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.state.lock().behaviour = behaviour;
    }

    /// Creates an account for a person, or changes the existing one.
    pub fn know(&self, person: Person) {
        self.shared.state.lock().know(person);
    }

    /// The number of requests that followed a redirect of the stand-in.
    #[must_use]
    pub fn led_astray(&self) -> usize {
        self.shared.state.lock().led_astray
    }

    /// The number of requests for a token, and the number of requests for a profile.
    #[must_use]
    pub fn asked(&self) -> (usize, usize) {
        let state = self.shared.state.lock();
        (state.exchanges, state.profiles)
    }

    /// Acts as the browser of a person who is sent to the address, and agrees. Returns the
    /// address to which the browser is sent back.
    ///
    /// # Errors
    ///
    /// The text of the page, if the request is invalid.
    pub fn authorize(&self, address: &str, login: &str) -> Result<String, String> {
        let query = address.split_once('?').map(|(_, query)| query);
        let asked = routes::Asked::parse(query.unwrap_or_default())?;
        self.shared.authorize(&asked, login)
    }
}

impl State {
    fn know(&mut self, person: Person) {
        self.people.retain(|known| known.id != person.id);
        self.people.push(person);
    }
}

fn person(id: u64, login: &str, name: &str) -> Person {
    Person {
        id,
        login: login.to_owned(),
        name: Some(name.to_owned()),
    }
}
