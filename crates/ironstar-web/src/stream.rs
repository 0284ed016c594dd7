//! Open streams: server-sent events, and the shared state behind live pages.
//!
//! This room knows nothing of requests, sessions, pages or features.
//!
//! - [`sse`] writes frames, and keeps a stream alive until it ends.
//! - [`live`] draws each change once and shares the bytes with every subscriber.
//! - [`latest`] keeps the newest frame of a value that a page shows beside its view.
//! - `shared` keeps state as long as a subscriber holds it.
//! - [`guard`] ends a stream when its subscriber may no longer have it.
//! - `pack` compresses a chunk once for all subscribers.

pub mod guard;
pub mod latest;
pub mod live;
pub(crate) mod pack;
pub(crate) mod shared;
pub mod sse;
