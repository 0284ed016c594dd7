//! The bus on Zenoh.

mod event_bus;

pub use event_bus::ZenohEventBus;
