//! The secrets that an installation has made for itself.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::StoreError;

/// Keeps secrets, by name. Every adapter passes `contract::secret_store`.
#[async_trait]
pub trait SecretStore: Debug + Send + Sync {
    /// The secret of this name; if there is none yet, it is `new` from now on. Of
    /// many who ask for the first time at once, all get the same.
    ///
    /// # Errors
    ///
    /// If the store does not work.
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
