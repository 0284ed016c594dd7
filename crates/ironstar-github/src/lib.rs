//! A GitHub to test sign-in against. It keeps to the protocol more strictly than
//! GitHub does, so that what passes here passes there; and it misbehaves as it is
//! told.
//!
//! This crate knows nothing of ironstar. It is for tests, and part of no server.
//!
//! - [`StandIn`] is a server in this process; the program of this crate is the same.
//! - [`Behaviour`] is how it misbehaves.

mod codes;
mod pages;
mod routes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use codes::Codes;

/// An application that is known here.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The one address that browsers are sent back to.
    pub redirect_url: String,
}

/// Somebody who has an account here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Person {
    /// Who they are, for ever.
    pub id: u64,
    /// What they sign in as.
    pub login: String,
    /// What they are called.
    pub name: Option<String>,
}

/// How the stand-in misbehaves.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Not at all.
    #[default]
    Normal,
    /// It answers when nobody waits any more.
    Slow,
    /// It answers so late that something else can happen first.
    Late,
    /// It does not know the application.
    UnknownClient,
    /// It does not work: 500.
    Fail,
    /// It has no time: 429.
    Busy,
    /// It refuses codes, with a 200, as GitHub does.
    ErrorBody,
    /// It sends the client elsewhere, where a token is given to anybody.
    Redirect,
    /// It answers what is not JSON.
    Garbage,
    /// It answers a token, and a megabyte behind it.
    Huge,
    /// It answers an array of what should have names.
    Array,
    /// It answers a token as text that is of another kind.
    OtherKind,
    /// It hangs up in the middle.
    HangUp,
    /// It gives tokens of another type.
    OtherToken,
    /// It gives tokens, and then no profile for them: 401.
    NoProfile,
    /// It gives tokens, and then says that profiles were asked for too often: 403.
    NoMoreProfiles,
    /// Its profiles have no id.
    Nameless,
    /// It sends browsers back with another state.
    OtherState,
    /// It sends browsers back without a state.
    NoState,
}

/// A running stand-in, until it is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: DropGuard,
}

/// What the handlers work on.
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
    /// How many codes were asked for a token, and how many tokens for a profile.
    exchanges: usize,
    profiles: usize,
    led_astray: usize,
}

/// How long [`Behaviour::Late`] takes.
const LATE: Duration = Duration::from_millis(300);

/// How long [`Behaviour::Slow`] takes.
const SLOW: Duration = Duration::from_secs(30);

impl StandIn {
    /// Starts one on this machine.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on.
    pub async fn start(registration: Registration) -> std::io::Result<Self> {
        Self::start_at(
            "127.0.0.1:0".parse().unwrap_or(([127, 0, 0, 1], 0).into()),
            registration,
        )
        .await
    }

    /// Starts one at an address.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
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

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where browsers are sent.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        format!("{}/login/oauth/authorize", self.url())
    }

    /// Where a code is worth a token.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/login/oauth/access_token", self.url())
    }

    /// Where profiles are read.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url())
    }

    /// Misbehaves so from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.state().behaviour = behaviour;
    }

    /// Somebody has an account from now on, or is called something else.
    pub fn know(&self, person: Person) {
        self.shared.state().know(person);
    }

    /// How often somebody went elsewhere, because they were sent there.
    #[must_use]
    pub fn led_astray(&self) -> usize {
        self.shared.state().led_astray
    }

    /// How many codes were asked to be worth a token, and how many tokens were asked
    /// for a profile.
    #[must_use]
    pub fn asked(&self) -> (usize, usize) {
        let state = self.shared.state();
        (state.exchanges, state.profiles)
    }

    /// Where the browser of somebody ends up who is sent to an address here, and
    /// agrees.
    ///
    /// # Errors
    ///
    /// What the page says if the address is not as it should be.
    pub fn authorize(&self, address: &str, login: &str) -> Result<String, String> {
        let query = address.split_once('?').map(|(_, query)| query);
        let asked = routes::Asked::parse(query.unwrap_or_default())?;
        self.shared.authorize(&asked, login)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole between any two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
