//! What the integration tests share.

pub mod databases;
pub mod postgres;
