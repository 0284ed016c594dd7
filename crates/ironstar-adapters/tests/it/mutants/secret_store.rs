//! Broken secret stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemorySecretStore;
use ironstar_ports::contract::secret_store::RULES;
use ironstar_ports::{SecretStore, StoreError};

use crate::contract::each_breaks_its_rule_and_no_other;

/// The rules, each with the mutation that breaks it.
const MUTANTS: &[(&str, Mutation)] = &[
    ("secret-is-kept", Mutation::TakesTheSecond),
    ("secret-of-each-name", Mutation::IgnoresTheName),
    ("secret-made-once", Mutation::LooksBeforeItKeeps),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutation {
    TakesTheSecond,
    IgnoresTheName,
    LooksBeforeItKeeps,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_breaks_its_rule_and_no_other() {
    each_breaks_its_rule_and_no_other(RULES, MUTANTS, Mutant::with).await;
}

/// A secret store with one mutation.
#[derive(Debug)]
struct Mutant {
    mutation: Mutation,
    inner: MemorySecretStore,
    asked: AtomicBool,
}

impl Mutant {
    fn with(mutation: Mutation) -> Arc<dyn SecretStore> {
        Arc::new(Self {
            mutation,
            inner: MemorySecretStore::new(),
            asked: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl SecretStore for Mutant {
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let is_first = !self.asked.swap(true, SeqCst);
        match self.mutation {
            // The first secret is returned, but not stored. Concurrent callers must not get
            // their answer before that.
            Mutation::TakesTheSecond if is_first && new == [1; 32] => Ok(new),
            Mutation::IgnoresTheName => self.inner.secret("", new).await,
            Mutation::LooksBeforeItKeeps if is_first => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                // The store keeps this secret, unless another caller was faster.
                self.inner.secret(name, new).await?;
                Ok(new)
            }
            Mutation::TakesTheSecond | Mutation::LooksBeforeItKeeps => {
                self.inner.secret(name, new).await
            }
        }
    }
}
