//! The promises of [`SecretStore`].

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use super::{Rule, Verdict, Violation, equal, failed, let_others_run};
use crate::SecretStore;

type Store = Arc<dyn SecretStore>;

/// All rules, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!("secret-is-kept", is_kept),
    rule!("secret-of-each-name", of_each_name),
    rule!("secret-made-once", made_once),
];

/// A secret keeps the value that it got at the first request.
async fn is_kept(store: Store) -> Verdict {
    equal("the secret", secret(&store, "a", 1).await?, [1; 32])?;
    equal("the second answer", secret(&store, "a", 2).await?, [1; 32])
}

/// Each name has its own secret.
async fn of_each_name(store: Store) -> Verdict {
    equal("the first", secret(&store, "a", 1).await?, [1; 32])?;
    equal("the second", secret(&store, "b", 2).await?, [2; 32])
}

/// If several callers ask for a new name concurrently, all get the same secret.
async fn made_once(store: Store) -> Verdict {
    let asking = (0..16).map(|number| {
        let store = &store;
        async move {
            let_others_run().await;
            secret(store, "a", number).await
        }
    });
    let told: Result<HashSet<_>, Violation> = join_all(asking).await.into_iter().collect();
    equal("the number of different secrets", told?.len(), 1)
}

async fn secret(store: &Store, name: &str, new: u8) -> Result<[u8; 32], Violation> {
    let secret = store.secret(name, [new; 32]).await;
    secret.map_err(failed("secret"))
}
