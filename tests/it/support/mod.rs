//! What the integration tests share.

pub mod aiortc;
pub mod baresip;
pub mod browser;
pub mod clients;
pub mod databases;
pub mod ears;
pub mod office;
pub mod parties;
pub mod postgres;
pub mod puppet;
pub mod server;
pub mod sipp;
pub mod sites;
