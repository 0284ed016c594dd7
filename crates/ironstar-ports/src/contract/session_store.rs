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
    rule!("session-updated", updated),
    rule!("session-update-creates-nothing", update_creates_nothing),
    rule!("session-expired-is-not-loaded", expired_is_not_loaded),
    rule!("session-expired-is-not-updated", expired_is_not_updated),
    rule!("session-taken-is-gone", taken_is_gone),
    rule!("session-expired-is-not-taken", expired_is_not_taken),
    rule!("session-one-taker", one_taker),
    rule!("session-sweep", sweep),
];

/// What was stored is what is loaded.
async fn round_trip(store: Store) -> Verdict {
    let stored = session(1, 60);
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

/// An update replaces what a session holds, and when it expires.
async fn updated(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    create(&store, &session(2, 60)).await?;
    let changed = StoredSession {
        data: Payload::from_text(r#"{"changed":true}"#.to_owned()).expect("it is JSON"),
        ..session(1, 120)
    };
    equal("it is there", update(&store, &changed, 0).await?, true)?;
    equal("the session", load(&store, 1, 90).await?, Some(changed))?;
    expect(&store, 2, 0, Some(60)).await
}

/// What is not there is not brought into being.
async fn update_creates_nothing(store: Store) -> Verdict {
    equal(
        "whether it was there",
        update(&store, &session(1, 60), 0).await?,
        false,
    )?;
    expect(&store, 1, 0, None).await
}

/// A session is there until the second in which it expires.
async fn expired_is_not_loaded(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    expect(&store, 1, 59, Some(60)).await?;
    expect(&store, 1, 60, None).await
}

/// And is not made to last longer after that.
async fn expired_is_not_updated(store: Store) -> Verdict {
    create(&store, &session(1, 60)).await?;
    equal(
        "whether it was there",
        update(&store, &session(1, 120), 60).await?,
        false,
    )
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
    let text = format!(r#"{{"of":"🦀 {number}"}}"#);
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

async fn update(store: &Store, session: &StoredSession, second: i64) -> Result<bool, Violation> {
    let updated = store.update(session.clone(), at(second)).await;
    updated.map_err(failed("update"))
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
