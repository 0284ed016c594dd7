//! The workspace as a whole: the dependencies of its crates, the layout of its code, its
//! pages, and the developer tasks.

mod contracts;
mod features;
mod guide;
mod http;
mod layers;
mod layout;
mod migrate;
mod rooms;
mod threats;
