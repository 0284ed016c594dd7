//! The workspace as a whole: who may depend on whom, how the code is laid out,
//! and the tasks themselves.

mod contracts;
mod guide;
mod http;
mod layers;
mod layout;
mod migrate;
mod threats;
