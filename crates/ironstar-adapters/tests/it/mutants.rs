//! Proves that the contract suites can fail. For each rule there is a mutant: an adapter that
//! is broken in one way. It must break that rule and no other.

/// Declares the mutations of a port's adapter, in the order of the rules that they break, and
/// the test that each mutant breaks its rule and no other.
macro_rules! mutants {
    (dyn $port:ident, around $inner:expr; $($rule:literal => $mutation:ident,)+) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        enum Mutation {
            $($mutation,)+
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn each_mutant_breaks_its_rule_and_no_other() {
            let mutants = [$(($rule, Mutation::$mutation),)+];
            let with = |mutation| -> std::sync::Arc<dyn $port> {
                std::sync::Arc::new(Mutant {
                    mutation,
                    inner: $inner,
                    notes: Default::default(),
                })
            };
            crate::contract::each_breaks_its_rule_and_no_other(RULES, &mutants, with).await;
        }
    };
}

mod event_bus;
mod event_store;
mod lease_store;
mod projection_store;
mod secret_store;
mod session_store;
mod snapshot_store;

/// An adapter with one mutation.
#[derive(Debug)]
struct Mutant<M, A, N = ()> {
    mutation: M,
    /// The working adapter, if the mutant is around one.
    inner: A,
    /// The data that the mutations need.
    notes: N,
}

impl<M: PartialEq, A, N> Mutant<M, A, N> {
    fn is(&self, mutation: M) -> bool {
        self.mutation == mutation
    }
}
