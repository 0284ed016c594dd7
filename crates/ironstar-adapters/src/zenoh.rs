//! The bus on Zenoh.

mod event_bus;
mod network;

pub use event_bus::ZenohEventBus;
pub use network::{Login, Pem, RouterAddress, RouterAddressError, ZenohNetwork};
