//! A record of all commits of documents, with the epoch under which each was made.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use ironstar_ports::contract::doubles::AroundProjectionStore;
use ironstar_ports::{BuildId, CommitError, DocumentBatch, Lease, Position, ProjectionStore};
use parking_lot::Mutex;

use crate::Bug;

/// The epochs of all commits, by build and new checkpoint.
#[derive(Debug, Default)]
pub(super) struct Audit(Mutex<BTreeMap<(BuildId, Position), u64>>);

impl Audit {
    /// Returns all commits under an epoch that was over.
    pub(super) fn violations(&self) -> Vec<String> {
        let epochs = self.0.lock();
        let mut violations = Vec::new();
        let mut last: Option<(BuildId, u64)> = None;
        for (&(build, position), &epoch) in &*epochs {
            if let Some((before, newest)) = last
                && before == build
                && epoch < newest
            {
                violations.push(format!(
                    "a node has stored documents of build {build} up to position {position} under \
                     epoch {epoch}, after another node had done so under epoch {newest}"
                ));
                continue;
            }
            last = Some((build, epoch));
        }
        violations
    }

    /// The number of times that the next commit was made under a newer epoch.
    pub(super) fn changes_of_holder(&self) -> u64 {
        let epochs = self.0.lock();
        let mut epochs: Vec<_> = epochs
            .iter()
            .map(|((build, _), epoch)| (build, epoch))
            .collect();
        epochs.dedup();
        epochs.len() as u64
    }
}

/// A store that records its commits.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) inner: Arc<dyn ProjectionStore>,
    pub(super) bug: Option<Bug>,
    pub(super) lease: Option<Lease>,
    pub(super) audit: Arc<Audit>,
}

#[async_trait]
impl AroundProjectionStore for Audited {
    fn inner(&self) -> &dyn ProjectionStore {
        &*self.inner
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        let place = (batch.build, batch.to.position);
        let is_move = batch.to.position > batch.from.position;
        self.inner.commit(batch).await?;
        if let Some(lease) = &self.lease
            && is_move
        {
            self.audit.0.lock().insert(place, lease.epoch);
        }
        Ok(())
    }

    fn fenced(&self, lease: &Lease) -> Option<Arc<dyn ProjectionStore>> {
        let fenced = if self.bug == Some(Bug::ForgetsEpochs) {
            Arc::clone(&self.inner)
        } else {
            self.inner.fenced(lease)?
        };
        Some(Arc::new(Self {
            inner: fenced,
            bug: self.bug,
            lease: Some(lease.clone()),
            audit: Arc::clone(&self.audit),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_under_an_older_epoch_is_a_violation() {
        let audit = |epochs: &[(u64, u64, u64)]| {
            let epochs = epochs.iter().map(|(build, position, epoch)| {
                ((BuildId::new(*build), Position::new(*position)), *epoch)
            });
            Audit(Mutex::new(epochs.collect()))
        };
        let good = audit(&[(1, 1, 1), (1, 5, 1), (1, 6, 3), (2, 1, 1), (2, 9, 2)]);
        assert_eq!(good.violations(), [""; 0]);
        assert_eq!(good.changes_of_holder(), 4);
        let bad = audit(&[(1, 1, 1), (1, 5, 2), (1, 6, 1), (1, 7, 2)]).violations();
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains("position 6 under epoch 1"), "{bad:?}");
    }
}
