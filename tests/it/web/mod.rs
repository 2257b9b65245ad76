//! The HTTP side over loopback: real requests, a real store, and an engine that remembers what it was asked.

mod build_script;
mod calls;
mod clients;
mod desk;
mod errors;
mod events;
mod house;
mod live;
mod recordings;
mod roles;
mod samples;
mod server;
mod session;
mod sip;
