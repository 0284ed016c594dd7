//! Codes and tokens: the purpose of each, and the rule that each code is valid once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The time for which a code is valid.
const AGE: Duration = Duration::from_secs(10 * 60);

/// All codes and tokens that were issued.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    codes: HashMap<String, Granted>,
    tokens: HashMap<String, u64>,
}

/// The purpose of a code.
#[derive(Debug)]
struct Granted {
    person: u64,
    challenge: String,
    at: Instant,
}

impl Codes {
    /// Issues a code for a person who has agreed.
    pub(crate) fn grant(&mut self, person: u64, challenge: String) -> String {
        let code = random();
        let granted = Granted {
            person,
            challenge,
            at: Instant::now(),
        };
        self.codes.insert(code.clone(), granted);
        code
    }

    /// Exchanges a code for a token. It works once, for a short time, and only with the
    /// verifier of the challenge. Any attempt makes the code invalid.
    pub(crate) fn exchange(&mut self, code: &str, verifier: &str) -> Option<String> {
        let granted = self.codes.remove(code)?;
        let is_theirs = challenge_of(verifier) == granted.challenge;
        if !is_theirs || granted.at.elapsed() > AGE {
            return None;
        }
        Some(self.token_of(granted.person))
    }

    /// Issues a token for a person.
    pub(crate) fn token_of(&mut self, person: u64) -> String {
        let token = format!("gho_{}", random());
        self.tokens.insert(token.clone(), person);
        token
    }

    /// Returns the person to whom a token belongs.
    pub(crate) fn person(&self, token: &str) -> Option<u64> {
        self.tokens.get(token).copied()
    }
}

/// Returns the challenge of a verifier (RFC 7636, section 4.2, S256).
pub(crate) fn challenge_of(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn random() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
