//! Ends a stream when its subscriber loses the right to it, before another frame goes out.

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use ironstar_app::access::Permit;
use ironstar_ports::Position;

use crate::stream::latest::Side;

/// Tells a page to reload, because its visitor may have lost the right to it (`reload.js`).
pub(crate) const RELOAD: Bytes = Bytes::from_static(b"event: datastar-reload\ndata: when now\n\n");

/// Tells a page to reload soon, because its visitor has signed in or out. The page waits until
/// the browser has the new cookie, which is on its way.
pub(crate) const RELOAD_SOON: Bytes =
    Bytes::from_static(b"event: datastar-reload\ndata: when soon\n\n");

/// Sends frames while a permit holds, and then tells the page to reload. Each frame comes with
/// the position that it shows.
pub fn guarded(
    frames: BoxStream<'static, (Position, Bytes)>,
    permit: Permit,
) -> BoxStream<'static, Bytes> {
    stream::unfold(Some((frames, permit)), |guarded| async move {
        let (mut frames, permit) = guarded?;
        let next = {
            let ended = std::pin::pin!(permit.ended());
            match select(ended, frames.next()).await {
                Either::Left(((), _)) => return Some((RELOAD, None)),
                Either::Right((next, _)) => next,
            }
        };
        let (position, frame) = next?;
        if permit.holds_at(position).await {
            return Some((frame, Some((frames, permit))));
        }
        Some((RELOAD, None))
    })
    .boxed()
}

/// Sends the frames of a side while the permit holds.
pub fn guarded_side(side: Side, permit: Permit) -> Side {
    side.take_while(move |_| {
        let permit = permit.clone();
        async move { permit.holds_by_now().await }
    })
    .boxed()
}

/// Sends frames until a session ends, and then tells the page to reload.
pub(crate) fn until(
    frames: BoxStream<'static, Bytes>,
    ended: impl Future<Output = ()> + Send + 'static,
) -> BoxStream<'static, Bytes> {
    stream::unfold(Some((frames, ended.boxed())), |open| async move {
        let (mut frames, mut ended) = open?;
        match select(&mut ended, frames.next()).await {
            Either::Left(((), _)) => Some((RELOAD_SOON, None)),
            Either::Right((frame, _)) => Some((frame?, Some((frames, ended)))),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;
