//! What keeps a stream to those who may have it: until they may not, and not one
//! frame longer.

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use ironstar_app::access::Permit;
use ironstar_ports::Position;

use crate::stream::latest::Side;

/// Tells a page to load itself anew, since who may see it has changed (`page.js`).
pub(crate) const RELOAD: Bytes = Bytes::from_static(b"event: datastar-reload\ndata: when now\n\n");

/// The same, since who its visitor is has changed: as soon as the browser has the
/// cookie that says who that is now, which is on its way.
pub(crate) const RELOAD_SOON: Bytes =
    Bytes::from_static(b"event: datastar-reload\ndata: when soon\n\n");

/// Frames, each with the position up to which it tells, for as long as a permit
/// holds; then the page is told to load itself anew.
pub(crate) fn guarded(
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

/// What goes out beside such frames, for as long as the permit holds.
pub(crate) fn guarded_side(side: Side, permit: Permit) -> Side {
    side.take_while(move |_| {
        let permit = permit.clone();
        async move { permit.holds_by_now().await }
    })
    .boxed()
}

/// Frames until a session ends; then the page is told to load itself anew.
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
