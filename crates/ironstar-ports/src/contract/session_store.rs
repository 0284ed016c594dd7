//! The promises of [`SessionStore`].

use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;
use time::{Duration, OffsetDateTime};

use super::{Rule, Verdict, Violation, equal, failed, let_others_run};
use crate::{Payload, SessionHash, SessionStore, StoredSession};

type Store = Arc<dyn SessionStore>;

/// Every rule, in reading order.
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

/// What was stored is what is loaded.
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

/// A name is not given twice, and whose it is keeps what it has.
async fn name_is_taken(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let refused = store.create(session(1, 90)).await.is_err();
    equal("a name that is taken is refused", refused, true)?;
    expect(&store, 1, 0, Some(60)).await
}

/// Under its name, a session comes to hold something else, and to expire then.
async fn replaced(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let changed = StoredSession {
        data: Payload::from_text(r#"{"changed":true}"#.to_owned()).expect("it is JSON"),
        ..session(1, 120)
    };
    equal("it is there", replace(&store, 1, &changed, 0).await?, true)?;
    equal("the session", load(&store, 1, 90).await?, Some(changed))?;
    expect(&store, 2, 0, Some(60)).await
}

/// Under another name, it is the new one, and the old name is nobody's.
async fn renamed(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let new = session(3, 120);
    equal("it is there", replace(&store, 1, &new, 0).await?, true)?;
    expect(&store, 1, 0, None).await?;
    equal("the new one", load(&store, 3, 90).await?, Some(new))?;
    expect(&store, 2, 0, Some(60)).await
}

/// A name that is taken is not given once more, and nothing happens to either.
async fn renamed_to_taken_name(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 90)).await?;
    let refused = store.replace(&name(1), session(2, 120), at(0)).await;
    equal("a name that is taken is refused", refused.is_err(), true)?;
    expect(&store, 1, 0, Some(60)).await?;
    expect(&store, 2, 0, Some(90)).await
}

/// What is not there is not brought into being.
async fn replace_creates_nothing(store: Store) -> Verdict {
    let was_there = replace(&store, 1, &session(1, 60), 0).await?;
    equal("whether it was there", was_there, false)?;
    let was_there = replace(&store, 1, &session(2, 60), 0).await?;
    equal("whether it was there", was_there, false)?;
    expect(&store, 1, 0, None).await?;
    expect(&store, 2, 0, None).await
}

/// Of many who replace a session by others at once, one does.
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
    equal("how many did", winners, 1)?;
    for (number, is_there) in (1..=16).zip(replaced) {
        expect(&store, number, 0, is_there.then_some(60)).await?;
    }
    Ok(())
}

/// A session that is prolonged holds what it did.
async fn prolonged(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    equal("it is there", prolong(&store, 1, 120, 0).await?, true)?;
    let loaded = load(&store, 1, 90).await?;
    equal("the session", loaded, Some(session(1, 120)))?;
    expect(&store, 2, 0, Some(60)).await
}

/// What is not there does not come into being by that.
async fn prolong_creates_nothing(store: Store) -> Verdict {
    let was_there = prolong(&store, 1, 60, 0).await?;
    equal("whether it was there", was_there, false)?;
    expect(&store, 1, 0, None).await
}

/// A session is there until the second in which it expires.
async fn expired_is_not_loaded(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    expect(&store, 1, 59, Some(60)).await?;
    expect(&store, 1, 60, None).await
}

/// And is not replaced after that.
async fn expired_is_not_replaced(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let was_there = replace(&store, 1, &session(1, 120), 60).await?;
    equal("whether it was there", was_there, false)
}

/// Nor made to last longer.
async fn expired_is_not_prolonged(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let was_there = prolong(&store, 1, 120, 60).await?;
    equal("whether it was there", was_there, false)
}

/// What was taken is not there any more.
async fn taken_is_gone(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let taken = take(&store, 1, 0).await?.map(|taken| taken.id);
    equal("which was taken", taken, Some(name(1)))?;
    expect(&store, 1, 0, None).await?;
    expect(&store, 2, 0, Some(60)).await
}

/// What has expired is not for anybody to take.
async fn expired_is_not_taken(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    equal("what was taken", take(&store, 1, 60).await?, None)
}

/// Of many who take the same session at once, one gets it.
async fn one_taker(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    let takers = (0..16).map(|_| async {
        let_others_run().await;
        take(&store, 1, 0).await
    });
    let taken: Result<Vec<_>, Violation> = join_all(takers).await.into_iter().collect();
    let winners = taken?.into_iter().flatten().count();
    equal("how many got it", winners, 1)
}

/// What has expired is swept, and nothing else.
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
    equal("how many were swept", swept, 4)?;
    for number in 0..8 {
        // Looked at as of before it had expired.
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

/// A session that expires in so many seconds.
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

/// There is a session that expires then, or there is none.
async fn expect(store: &Store, number: u8, second: i64, expires: Option<i64>) -> Verdict {
    let loaded = load(store, number, second).await?;
    let actual = loaded.map(|session| session.expires_at);
    equal("when a session expires", actual, expires.map(at))
}
