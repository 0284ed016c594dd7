//! Broken secret stores.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemorySecretStore;
use ironstar_ports::contract::secret_store::RULES;
use ironstar_ports::{SecretStore, StoreError};

mutants! {
    dyn SecretStore, around MemorySecretStore::new();
    "secret-is-kept" => TakesTheSecond,
    "secret-of-each-name" => IgnoresTheName,
    "secret-made-once" => LooksBeforeItKeeps,
}

type Mutant = super::Mutant<Mutation, MemorySecretStore, Notes>;

#[derive(Debug, Default)]
struct Notes {
    asked: AtomicBool,
}

#[async_trait]
impl SecretStore for Mutant {
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let is_first = !self.notes.asked.swap(true, SeqCst);
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
