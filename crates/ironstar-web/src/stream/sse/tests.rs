use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use ironstar_ports::{LogPlace, Position};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    Alive, KEEP_ALIVE, MAX_AGE, MIN_AGE, SignOfLife, datastar_frame, frame, on_one_line,
    unfinished_frame,
};
use crate::stream::latest::Side;

#[test]
fn frame_ends_with_its_id() {
    let patch = PatchElements::new("<p id=\"a\">\n</p>").selector("#a");
    assert_eq!(
        datastar_frame(patch, Some(LogPlace::from(Position::new(7)).into())),
        "event: datastar-patch-elements\n\
         data: selector #a\n\
         data: elements <p id=\"a\">\n\
         data: elements </p>\n\
         id: 7\n\n"
    );
}

#[test]
fn unfinished_frame_clears_the_id() {
    let frame = unfinished_frame(PatchElements::new("<p></p>"));
    assert_eq!(
        frame,
        "event: datastar-patch-elements\ndata: elements <p></p>\nid: \n\n"
    );
}

#[test]
fn text_cannot_forge_a_line() {
    for line_end in ["\r", "\n", "\r\n"] {
        let hostile = format!("a{line_end}id: 999{line_end}event: forged");
        let text = frame("created", [hostile], Some(Position::new(1).into()));
        let fields: Vec<&str> = text
            .split(['\n', '\r'])
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(fields[0], "event: created");
        assert!(
            fields[1..fields.len() - 1]
                .iter()
                .all(|line| line.starts_with("data: ")),
            "{fields:?}"
        );
        assert_eq!(fields[fields.len() - 1], "id: 1");
        assert!(!text.contains('\r'));
    }
}

#[test]
fn patch_cannot_forge_a_line() {
    let text = datastar_frame(PatchElements::new("<p>a\rid: 999</p>"), None);
    assert_eq!(
        text,
        "event: datastar-patch-elements\ndata: elements <p>a id: 999</p>\n\n"
    );
}

#[test]
fn json_has_no_character_that_a_client_may_take_for_the_end_of_a_line() {
    // The characters at which Python's `str.splitlines` splits.
    let ends = "\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";
    let text = format!("caf\u{e9}{ends}\u{2027}");
    let json = serde_json::to_string(&text).expect("JSON");
    let escaped = on_one_line(json);
    assert!(!escaped.contains(|c| ends.contains(c)), "{escaped:?}");
    assert_eq!(serde_json::from_str(&escaped).ok(), Some(text));
    for json in ["{}", "\"caf\u{e9}\"", "\"\\u2028\""] {
        assert_eq!(on_one_line(json.to_owned()), json);
    }
}

type Frames = BoxStream<'static, Bytes>;

fn alive(frames: Frames, sides: Vec<Side>) -> Alive<Frames> {
    Alive::new(frames, sides, SignOfLife::Comment, CancellationToken::new())
}

/// One frame after each pause.
fn every(pause: Duration) -> Frames {
    let frames = stream::repeat(Bytes::from_static(b"frame"));
    frames
        .then(move |frame| tokio::time::sleep(pause).map(move |()| frame))
        .boxed()
}

fn never() -> Frames {
    stream::pending().boxed()
}

/// All frames of a stream until its end, each with its time.
async fn all<S: Stream<Item = Bytes> + Unpin>(mut alive: Alive<S>) -> Vec<(Bytes, Duration)> {
    let start = Instant::now();
    let mut all = Vec::new();
    while let Some(Ok(frame)) = alive.next().await {
        all.push((frame, start.elapsed()));
    }
    all
}

/// Allows for timers that fire at whole milliseconds.
fn is_about(actual: Duration, expected: Duration) -> bool {
    (expected..=expected + Duration::from_millis(2)).contains(&actual)
}

#[tokio::test(start_paused = true)]
async fn silent_stream_sends_signs_of_life_and_ends_in_time() {
    let mut ages = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        let all = all(alive(never(), vec![])).await;
        for (index, (frame, at)) in (1..).zip(&all) {
            assert_eq!(*frame, SignOfLife::Comment.frame());
            let drift = Duration::from_millis(1) * index;
            let due = KEEP_ALIVE * index;
            assert!((due..=due + drift).contains(at), "{at:?} is not {due:?}");
        }
        let age = start.elapsed();
        assert!((MIN_AGE..=MAX_AGE).contains(&Duration::from_secs(age.as_secs())));
        let due = age.as_secs() / KEEP_ALIVE.as_secs();
        assert!((due - 1..=due).contains(&(all.len() as u64)));
        ages.push(age);
    }
    ages.sort_unstable();
    let spread = ages[99] - ages[0];
    assert!(spread > (MAX_AGE - MIN_AGE) / 2, "{spread:?}");
}

#[tokio::test(start_paused = true)]
async fn busy_stream_sends_no_signs_of_life_and_ends_in_time() {
    for pause in [KEEP_ALIVE - Duration::from_secs(1), Duration::from_secs(1)] {
        let start = Instant::now();
        let all = all(alive(every(pause), vec![])).await;
        assert!(
            all.iter()
                .all(|(frame, _)| *frame != SignOfLife::Comment.frame())
        );
        let age = Duration::from_secs(start.elapsed().as_secs());
        assert!((MIN_AGE..=MAX_AGE).contains(&age), "{age:?}");
    }
    // A stream that is always ready ends, too.
    let mut busy = alive(stream::repeat(Bytes::from_static(b"frame")).boxed(), vec![]);
    assert!(busy.next().await.is_some());
    tokio::time::advance(MAX_AGE).await;
    assert!(busy.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_last_frame() {
    let one = tokio::time::sleep(Duration::from_secs(10)).map(|()| Bytes::from_static(b"frame"));
    let frames = stream::once(one).chain(stream::pending());
    let all = all(alive(frames.boxed(), vec![])).await;
    assert!(is_about(all[0].1, Duration::from_secs(10)));
    assert_eq!(all[1].0, SignOfLife::Comment.frame());
    assert!(is_about(all[1].1, Duration::from_secs(25)), "{:?}", all[1]);
}

#[tokio::test(start_paused = true)]
async fn frames_and_sides_do_not_delay_each_other() {
    let of = |text: &'static str| stream::repeat(Bytes::from_static(text.as_bytes())).boxed();
    let mut both = alive(of("frame"), vec![stream::empty().boxed(), of("side")]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(both.next().await.expect("a frame").expect("bytes"));
    }
    seen.sort();
    assert_eq!(seen, ["frame", "frame", "side", "side"]);
    let mut quiet = alive(never(), vec![of("side")]);
    assert_eq!(quiet.next().await.expect("a frame").expect("bytes"), "side");
    let mut ended = alive(stream::empty().boxed(), vec![never()]);
    assert!(ended.next().await.is_none(), "sides do not continue alone");
}

#[tokio::test]
async fn stream_is_small() {
    let alive = size_of::<Alive<Frames>>();
    let size = alive + size_of::<Sleep>() + size_of::<WaitForCancellationFutureOwned>();
    // The other half of the memory is for the source of the frames.
    assert!(size <= 512, "{size}");
}
