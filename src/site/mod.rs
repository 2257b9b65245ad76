//! The site file: the whole set-up as one value. Parsing with line numbers, checks, diff and export live here;
//! who reads it from disk or the database is not this room's business.

mod destination;
pub mod model;

pub use model::{
    Destination, Language, Network, Number, NumberPattern, Queue, Role, Route, SipHa1, Site, Strategy, Target, Trunk, User,
};
