//! The secrets of an installation, which it generates for itself.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::StoreError;

/// Stores secrets by name. Every adapter passes `contract::secret_store`.
#[async_trait]
pub trait SecretStore: Debug + Send + Sync {
    /// Returns the secret of this name. If there is none yet, the store keeps `new` as the
    /// secret. If several callers ask for a new name concurrently, all get the same secret.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
