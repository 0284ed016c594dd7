use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::{frames, side};

#[test]
fn newest_frame_comes_first_and_missed_frames_never() {
    let sender = watch::Sender::new(Bytes::from_static(b"one"));
    let mut early = side(sender.subscribe(), ());
    let mut next = || early.next().now_or_never().flatten();
    assert_eq!(next().as_deref(), Some(&b"one"[..]));
    assert_eq!(next(), None);
    sender.send_replace("two".into());
    sender.send_replace("three".into());
    assert_eq!(next().as_deref(), Some(&b"three"[..]));
    assert_eq!(next(), None);
    let late = side(sender.subscribe(), ()).next().now_or_never();
    assert_eq!(late.flatten().as_deref(), Some(&b"three"[..]));
}

#[test]
fn empty_frame_is_not_sent() {
    let sender = watch::Sender::new(Bytes::new());
    let mut frames = side(sender.subscribe(), ());
    assert!(frames.next().now_or_never().is_none());
    sender.send_replace("one".into());
    let frame = frames.next().now_or_never().flatten();
    assert_eq!(frame.as_deref(), Some(&b"one"[..]));
    drop(sender);
    assert_eq!(frames.next().now_or_never(), Some(None));
}

#[test]
fn side_is_small() {
    let sender = watch::Sender::new(Bytes::new());
    let size = size_of_val(&frames(sender.subscribe(), ()));
    assert!(size <= 256, "{size}");
}
