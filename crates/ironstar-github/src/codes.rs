//! Codes and tokens: what each was given for, and that it is good once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// For how long a code is good.
const AGE: Duration = Duration::from_secs(10 * 60);

/// What was given out.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    codes: HashMap<String, Granted>,
    tokens: HashMap<String, u64>,
}

/// What a code was given for.
#[derive(Debug)]
struct Granted {
    person: u64,
    challenge: String,
    at: Instant,
}

impl Codes {
    /// A code for somebody who has agreed.
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

    /// A token for a code: once, soon, and for whoever has what makes the challenge.
    /// A code that was tried is worth nothing any more.
    pub(crate) fn exchange(&mut self, code: &str, verifier: &str) -> Option<String> {
        let granted = self.codes.remove(code)?;
        let is_theirs = challenge_of(verifier) == granted.challenge;
        if !is_theirs || granted.at.elapsed() > AGE {
            return None;
        }
        Some(self.token_of(granted.person))
    }

    /// A token for somebody.
    pub(crate) fn token_of(&mut self, person: u64) -> String {
        let token = format!("gho_{}", random());
        self.tokens.insert(token.clone(), person);
        token
    }

    /// Whose a token is.
    pub(crate) fn person(&self, token: &str) -> Option<u64> {
        self.tokens.get(token).copied()
    }
}

/// What a verifier is a proof for (RFC 7636, section 4.2, S256).
pub(crate) fn challenge_of(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn random() -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
