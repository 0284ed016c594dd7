//! The promises of [`SessionStore`].

use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;
use time::{Duration, OffsetDateTime};

use super::{Rule, Verdict, Violation, equal, failed, let_others_run};
use crate::{Payload, SessionHash, SessionStore, StoredSession};

type Store = Arc<dyn SessionStore>;

/// All rules, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!("session-round-trip", round_trip),
    rule!("session-of-each-name", of_each_name),
    rule!("session-name-is-taken", name_is_taken),
    rule!("session-replaced", replaced),
    rule!("session-renamed", renamed),
    rule!("session-renamed-to-a-taken-name", renamed_to_taken_name),
    rule!("session-replace-creates-nothing", replace_creates_nothing),
    rule!("session-one-replacement", one_replacement),
    rule!("session-prolonged", prolonged),
    rule!("session-prolong-creates-nothing", prolong_creates_nothing),
    rule!("session-expired-is-not-loaded", expired_is_not_loaded),
    rule!("session-expired-is-not-replaced", expired_is_not_replaced),
    rule!("session-expired-is-not-prolonged", expired_is_not_prolonged),
    rule!("session-taken-is-gone", taken_is_gone),
    rule!("session-expired-is-not-taken", expired_is_not_taken),
    rule!("session-one-taker", one_taker),
    rule!("session-sweep", sweep),
];

/// A session is loaded as it was stored.
async fn round_trip(store: Store) -> Verdict {
    let stored = StoredSession {
        data: Payload::from_text(r#"{"of":"🦀"}"#.to_owned()).expect("it is JSON"),
        ..session(1, 60)
    };
    create(&store, &stored).await?;
    equal("a session", load(&store, 1, 0).await?, Some(stored))
}

/// Each name has its own session, or none.
async fn of_each_name(store: Store) -> Verdict {
    create(&store, &session(5, 60)).await?;
    create(&store, &session(6, 90)).await?;
    expect(&store, 5, 0, Some(60)).await?;
    expect(&store, 6, 0, Some(90)).await?;
    expect(&store, 7, 0, None).await
}

/// A name cannot be given twice, and its session keeps its data.
async fn name_is_taken(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let refused = store.create(session(1, 90)).await.is_err();
    equal("a name that is taken is refused", refused, true)?;
    expect(&store, 1, 0, Some(60)).await
}

/// A session that is replaced under its own name gets the new data and the new expiry.
async fn replaced(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let changed = StoredSession {
        data: Payload::from_text(r#"{"changed":true}"#.to_owned()).expect("it is JSON"),
        ..session(1, 120)
    };
    equal("found", replace(&store, 1, &changed, 0).await?, true)?;
    equal("the session", load(&store, 1, 90).await?, Some(changed))?;
    expect(&store, 2, 0, Some(60)).await
}

/// A session that is replaced under a new name has only the new name. The old name has no
/// session.
async fn renamed(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let new = session(3, 120);
    equal("found", replace(&store, 1, &new, 0).await?, true)?;
    expect(&store, 1, 0, None).await?;
    equal("the new one", load(&store, 3, 90).await?, Some(new))?;
    expect(&store, 2, 0, Some(60)).await
}

/// A session cannot be replaced under a name that another session has. Both sessions stay as they
/// are.
async fn renamed_to_taken_name(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 90)).await?;
    let refused = store.replace(&name(1), session(2, 120), at(0)).await;
    equal("a name that is taken is refused", refused.is_err(), true)?;
    expect(&store, 1, 0, Some(60)).await?;
    expect(&store, 2, 0, Some(90)).await
}

/// Replacing a missing session creates nothing.
async fn replace_creates_nothing(store: Store) -> Verdict {
    let was_there = replace(&store, 1, &session(1, 60), 0).await?;
    equal("found", was_there, false)?;
    let was_there = replace(&store, 1, &session(2, 60), 0).await?;
    equal("found", was_there, false)?;
    expect(&store, 1, 0, None).await?;
    expect(&store, 2, 0, None).await
}

/// If several callers replace the same session concurrently, exactly one succeeds.
async fn one_replacement(store: Store) -> Verdict {
    create(&store, &session(0, 60)).await?;
    let replacements = (1..=16).map(|number| {
        let store = &store;
        async move {
            let_others_run().await;
            replace(store, 0, &session(number, 60), 0).await
        }
    });
    let replaced: Result<Vec<_>, Violation> = join_all(replacements).await.into_iter().collect();
    let replaced = replaced?;
    let winners = replaced.iter().filter(|replaced| **replaced).count();
    equal("the number of replacements", winners, 1)?;
    for (number, is_there) in (1..=16).zip(replaced) {
        expect(&store, number, 0, is_there.then_some(60)).await?;
    }
    Ok(())
}

/// A prolonged session keeps its data.
async fn prolonged(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    equal("found", prolong(&store, 1, 120, 0).await?, true)?;
    let loaded = load(&store, 1, 90).await?;
    equal("the session", loaded, Some(session(1, 120)))?;
    expect(&store, 2, 0, Some(60)).await
}

/// Prolonging a missing session creates nothing.
async fn prolong_creates_nothing(store: Store) -> Verdict {
    let was_there = prolong(&store, 1, 60, 0).await?;
    equal("found", was_there, false)?;
    expect(&store, 1, 0, None).await
}

/// A session exists until the second in which it expires.
async fn expired_is_not_loaded(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    expect(&store, 1, 59, Some(60)).await?;
    expect(&store, 1, 60, None).await
}

/// An expired session cannot be replaced.
async fn expired_is_not_replaced(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let was_there = replace(&store, 1, &session(1, 120), 60).await?;
    equal("found", was_there, false)
}

/// An expired session cannot be prolonged.
async fn expired_is_not_prolonged(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let was_there = prolong(&store, 1, 120, 60).await?;
    equal("found", was_there, false)
}

/// A taken session does not exist any more.
async fn taken_is_gone(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let taken = take(&store, 1, 0).await?.map(|taken| taken.id);
    equal("the name of the taken session", taken, Some(name(1)))?;
    expect(&store, 1, 0, None).await?;
    expect(&store, 2, 0, Some(60)).await
}

/// An expired session cannot be taken.
async fn expired_is_not_taken(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    equal("the taken session", take(&store, 1, 60).await?, None)
}

/// If several callers take the same session concurrently, exactly one gets it.
async fn one_taker(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let takers = (0..16).map(|_| async {
        let_others_run().await;
        take(&store, 1, 0).await
    });
    let taken: Result<Vec<_>, Violation> = join_all(takers).await.into_iter().collect();
    let winners = taken?.into_iter().flatten().count();
    equal("the number of takers with the session", winners, 1)
}

/// A sweep removes all expired sessions, and no others.
async fn sweep(store: Store) -> Verdict {
    for number in 0..8 {
        let expires_in = if number % 2 == 0 { 60 } else { 120 };
        create(&store, &session(number, expires_in)).await?;
    }
    let mut swept = 0;
    loop {
        let some = store.sweep(at(60)).await.map_err(failed("sweep"))?;
        if some == 0 {
            break;
        }
        swept += some;
    }
    equal("the number of swept sessions", swept, 4)?;
    for number in 0..8 {
        // This time is before all sessions expire, so only the sweep can have removed one.
        expect(&store, number, 0, (number % 2 == 1).then_some(120)).await?;
    }
    Ok(())
}

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(second)
}

fn name(number: u8) -> SessionHash {
    let mut hash = [0xff; 32];
    hash[31] = number;
    SessionHash::new(hash)
}

/// A session that expires after this number of seconds.
fn session(number: u8, expires_in: i64) -> StoredSession {
    let text = format!(r#"{{"of":{number}}}"#);
    StoredSession {
        id: name(number),
        data: Payload::from_text(text).expect("it is JSON"),
        expires_at: at(expires_in),
    }
}

async fn create(store: &Store, session: &StoredSession) -> Verdict {
    let created = store.create(session.clone()).await;
    created.map_err(failed("create"))
}

async fn load(store: &Store, number: u8, second: i64) -> Result<Option<StoredSession>, Violation> {
    let loaded = store.load(&name(number), at(second)).await;
    loaded.map_err(failed("load"))
}

async fn replace(
    store: &Store,
    number: u8,
    by: &StoredSession,
    second: i64,
) -> Result<bool, Violation> {
    let replaced = store.replace(&name(number), by.clone(), at(second)).await;
    replaced.map_err(failed("replace"))
}

async fn prolong(
    store: &Store,
    number: u8,
    expires_in: i64,
    second: i64,
) -> Result<bool, Violation> {
    let prolonged = store
        .prolong(&name(number), at(expires_in), at(second))
        .await;
    prolonged.map_err(failed("prolong"))
}

async fn take(store: &Store, number: u8, second: i64) -> Result<Option<StoredSession>, Violation> {
    let taken = store.take(&name(number), at(second)).await;
    taken.map_err(failed("take"))
}

/// Requires that a session has this expiry, or that there is none.
async fn expect(store: &Store, number: u8, second: i64, expires: Option<i64>) -> Verdict {
    let loaded = load(store, number, second).await?;
    let actual = loaded.map(|session| session.expires_at);
    equal("the expiry of a session", actual, expires.map(at))
}
